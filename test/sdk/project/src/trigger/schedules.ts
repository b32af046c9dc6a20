import { schedules } from "@trigger.dev/sdk";

/** Fires every minute in development, as the code says. */
export const minutely = schedules.task({
  id: "minutely",
  cron: "* * * * *",
  run: async (payload) => ({ payload, dates: payload.timestamp instanceof Date && payload.upcoming.every((at) => at instanceof Date) }),
});

/** Fires only by schedules made through the API. */
export const onSchedule = schedules.task({
  id: "on-schedule",
  run: async (payload) => ({ payload }),
});

/** Declared, but not for development. */
export const elsewhere = schedules.task({
  id: "elsewhere",
  cron: { pattern: "0 0 1 1 *", timezone: "Asia/Tokyo", environments: ["PRODUCTION"] },
  run: async () => {},
});
