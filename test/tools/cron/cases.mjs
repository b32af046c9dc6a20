// The expressions and zones whose meaning is recorded.

export const zones = [
  "UTC", "America/New_York", "America/Los_Angeles", "America/St_Johns", "America/Havana", "America/Santiago", "America/Sao_Paulo",
  "Atlantic/Azores", "Europe/London", "Europe/Berlin", "Africa/Cairo", "Africa/Casablanca", "Asia/Beirut", "Asia/Jerusalem", "Asia/Tehran",
  "Asia/Kolkata", "Asia/Kathmandu", "Asia/Tokyo", "Australia/Sydney", "Australia/Lord_Howe", "Pacific/Chatham", "Pacific/Apia", "Antarctica/Troll",
];

export const expressions = [
  "* * * * *", "*/5 * * * *", "*/15 * * * *", "0 * * * *", "30 0 * * *", "0 0 * * *", "30 1 * * *", "0 2 * * *", "30 2 * * *",
  "*/15 2 * * *", "0 3 * * *", "0 2,3 * * *", "*/20 1,2 * * *", "0 */2 * * *", "0 0-22 * * *", "15 0,12 * * *", "59 23 * * *",
  "0 0 1 * *", "0 0 L * *", "0 9 * * 1-5", "30 2 * * 7", "0 12 * * 5L", "0 12 * * 1#2", "0 0 1 * 1", "0 0 1,15 * 3", "0 0 29 2 *",
  "0 0 */2 * *", "0 0 * * */2", "0 0 ? * MON#1", "0 0 1 JAN ?", "5/15 8 * * *", "0 0 13 * FRI", "@daily", "@hourly", "@weekly", "@monthly",
  "@yearly", "0 0 * * 0-6", "10 10 10 10 *", "0 4 8-14 11 *",
];

export const refused = [
  "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *", "* * * 0 *", "* * * * 8", "61 * * * *", "-1 * * * *", "5-1 * * * *",
  "1-60 * * * *", "*/0 * * * *", "1/2/3 * * * *", "1,,2 * * * *", ",1 * * * *", "a * * * *", "* * * FOO *", "* * * * FOO", "* * 15W * *",
  "H * * * *", "* * * * 1#6", "* * * * 1#0", "* * * * 1,2#1", "* * * * 1-2#1", "0 0 31 2 *", "0 0 30 2 *", "0 0 31 4 *", "- * * * *",
  "1.5 * * * *", "* * * * 1#2#3", "? ? * * *", "* * * JAN-FOO *", "10-5/2 * * * *", "* * L-1 * *",
];

/** Every field alone in many forms, and the forms of several together. */
export function described() {
  const minutes = ["*", "0", "5", "30", "59", "*/1", "*/2", "*/5", "*/15", "*/30", "0,30", "0,15,30,45", "1-5", "0-30/10", "5/15"];
  const hours = ["*", "0", "9", "12", "13", "23", "*/1", "*/2", "*/6", "9-17", "9,17", "0,12,18", "9-17/2", "8/4"];
  const days = ["*", "1", "2", "15", "31", "L", "1,15", "1-7", "*/2", "*/1", "10-20/5", "?"];
  const months = ["*", "1", "12", "1,7", "3-5", "*/2", "*/3", "JAN", "JAN,JUL", "6/2"];
  const weekdays = ["*", "0", "1", "7", "1-5", "0,6", "MON", "MON-FRI", "SAT,SUN", "*/2", "5L", "1#2", "MON#1", "1,3,5", "?"];
  const all = new Set(["@hourly", "@daily", "@weekly", "@monthly", "@yearly"]);
  for (const m of minutes) for (const h of hours) all.add(`${m} ${h} * * *`);
  for (const d of days) for (const mo of months) all.add(`0 9 ${d} ${mo} *`);
  for (const w of weekdays) for (const mo of months) all.add(`30 14 * ${mo} ${w}`);
  for (const w of weekdays) for (const d of days) all.add(`*/10 8-18 ${d} * ${w}`);
  for (const expression of [
    "0 9-12,15 * * *", "0 9,12-15 * * *", "30 9-17 * * *", "0 0 1,15,20-25 * *", "0 0 * 1,3-5 *", "0 0 * * 1,3-5", "1 9 * * *", "1 * * * *",
    "*/5 9,12 * * *", "0,30 9-17 * * 1-5", "0-5 9-10 * * *", "* 9-17 * * *", "*/5 */2 */3 */4 */5", "0 0 1-7/2 * *", "0 0 5/3 * *", "0 0 * * 2/2",
    "0 0 * 2-8/3 *", "0 0 * * 1-5/2", "5,10-20 * * * *", "*/5,7 * * * *", "0 */2,5 * * *", "0 0 * * MON,WED-FRI", "0 0 * * 0-6", "0 0 1 * 1",
    "23 0-20/2 * * *", "5 4 * * SUN", "0 22 * * 1-5", "0 0,12 1 */2 *", "15 14 1 * *", "0 4 8-14 * *", "0 0 28-31 * *", "1,2,3 4,5,6 7,8,9 10,11 0,1,2",
    "* * * * *", "* * 1 * *", "* * * 1 *", "* * * * 1", "0 0 L 2 *", "59 23 31 12 5", "10-20,40-50 * * * *", "0 1-3,5-7 * * *",
  ]) {
    all.add(expression);
  }
  return [...all];
}
