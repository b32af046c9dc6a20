// Records what cron-parser and cronstrue, in the versions that the official server uses, make of
// cron expressions. The Go tests replay it without Node:
//
//   npm ci && node record.mjs ../../../internal/schedule/testdata
//
// It takes some minutes. An expression is parsed anew for each time asked for, as the official
// server does: the library's own iterator remembers between two times whether clocks were changed.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import cronParser from "cron-parser";
import cronstrue from "cronstrue";
import { described, expressions, refused, zones } from "./cases.mjs";

const hour = 3_600_000;
const into = process.argv[2];
const save = (name, lines) => writeFileSync(join(into, name), lines.join("\n") + "\n");

/** The instants of 2025 at which the clocks of a zone are changed. */
function changes(zone) {
  const format = new Intl.DateTimeFormat("en-US", { timeZone: zone, timeZoneName: "longOffset" });
  const offset = (at) => format.formatToParts(at).find((part) => part.type === "timeZoneName").value;
  const found = [];
  for (let at = Date.UTC(2025, 0, 1); at < Date.UTC(2026, 0, 1); at += 6 * hour) {
    let [before, after] = [at, at + 6 * hour];
    if (offset(before) === offset(after)) continue;
    while (after - before > 1000) {
      const middle = Math.floor((before + after) / 2000) * 1000;
      if (offset(middle) === offset(before)) before = middle;
      else after = middle;
    }
    found.push(after);
  }
  return found;
}

/** The times to ask from: some of no account, and some around each change of the clocks. */
function starts(zone) {
  const plain = [Date.parse("2024-02-28T23:59:59Z"), Date.parse("2026-11-27T10:11:12Z")];
  const around = [-26 * hour - 1000, -2 * hour, -hour - 1000, -1000, 0, hour / 2, hour];
  return [...plain, ...changes(zone).flatMap((at) => around.map((by) => at + by))];
}

/** Up to n times from one on, in seconds. */
function walk(expression, tz, from, n, way) {
  const times = [];
  for (let at = from; times.length < n; times.push(at / 1000)) {
    at = cronParser.parseExpression(expression, { tz, currentDate: new Date(at) })[way]().getTime();
  }
  return times.join(",");
}

const vectors = [];
for (const zone of zones) {
  const from = starts(zone);
  for (const expression of expressions) {
    for (const at of from) {
      vectors.push([expression, zone, at / 1000, walk(expression, zone, at, 3, "next"), walk(expression, zone, at, 2, "prev")].join("|"));
    }
  }
}
save("times.txt", vectors);

save("refused.txt", refused.map((expression) => {
  try {
    cronParser.parseExpression(expression);
  } catch (error) {
    return `${expression}|${error.message}`;
  }
  throw new Error(`${expression} is accepted`);
}));

save("described.txt", described().map((expression) => `${expression}|${cronstrue.toString(expression)}`));

save("node-zones.txt", Intl.supportedValuesOf("timeZone"));
