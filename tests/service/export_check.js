// Exports as the readers of others take them: `node export_check.js FOLDER`, which has NAME.sentry, one envelope each,
// and NAME.otlp. Fails where OpenTelemetry's definitions lack a member that was sent, or Sentry's reader an item.
"use strict";
const fs = require("fs");
const path = require("path");
const { parseEnvelope } = require("@sentry/core");
const { opentelemetry } = require("@opentelemetry/otlp-transformer/build/src/generated/root.js");

const folder = process.argv[2];
const Logs = opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest;
let failures = 0;

const fail = (...what) => {
  failures++;
  console.log("FAIL", ...what);
};

// "resourceLogs.*.scopeLogs.*.…" of all members.
const members = (value, at = "", out = new Set()) => {
  for (const [key, inner] of value && typeof value === "object" ? Object.entries(value) : []) {
    const here = at + "." + (Array.isArray(value) ? "*" : key);
    out.add(here);
    members(inner, here, out);
  }
  return out;
};

const checkLogs = (name, text) => {
  const sent = JSON.parse(text);
  const read = Logs.decode(Logs.encode(Logs.fromObject(sent)).finish());
  const known = members(Logs.toObject(read, { longs: String }));
  const lost = [...members(sent)].filter((member) => !known.has(member));
  if (lost.length !== 0) fail(name, "has members that are none of the protocol's:", ...lost);
};

const checkEnvelope = (name, text) => {
  const [header, items] = parseEnvelope(text);
  const [item, payload] = items[0];
  const event = JSON.parse(Buffer.from(payload).toString());
  if (items.length !== 1 || item.type !== "event" || header.event_id !== event.event_id) fail(name, "is no event");
  if (!event.exception.values.every((v) => v.type && v.stacktrace.frames.length)) fail(name, "has a stack without frames");
};

const files = fs.readdirSync(folder).sort();
for (const file of files) {
  const text = fs.readFileSync(path.join(folder, file));
  if (file.endsWith(".sentry")) checkEnvelope(file, text);
  else checkLogs(file, text);
}
console.log(`${files.length} exports read, ${failures} failures`);
process.exit(files.length !== 0 && failures === 0 ? 0 : 1);
