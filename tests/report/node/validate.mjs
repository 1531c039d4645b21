// Says what independent parsers find wrong in a run's files: node validate.mjs target/node KIND FILE [SCHEMA]
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

const [place, kind, file, schema] = process.argv.slice(2);
const require = createRequire(resolve(place, "validate.js"));
const text = readFileSync(file, "utf8");
const faults = [];

const validator = (schema, ...others) => {
  const draft6 = others.length > 0;
  const Ajv = draft6 ? require("ajv").default : require("ajv/dist/2020").default;
  const ajv = new Ajv({ allErrors: true, strict: false, formats: {
    "date-time": /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/,
    uri: text => { try { return Boolean(new URL(text)) && !/[\s<>"{}|\\^`]/.test(text); } catch { return false; } },
  } });
  if (draft6) ajv.addMetaSchema(require("ajv/dist/refs/json-schema-draft-06.json"));
  for (const other of others) ajv.addSchema(other);
  const check = ajv.compile(schema);
  return (value, where) => { if (!check(value)) faults.push(...check.errors.slice(0, 5).map(e => where + e.instancePath + " " + e.message)); };
};

const rows = () => {
  const xlsx = require("xlsx");
  const book = xlsx.read(text, { type: "string", raw: false });
  return book.Sheets[book.SheetNames[0]];
};

if (kind === "json") validator(JSON.parse(readFileSync(schema)))(JSON.parse(text), "");
else if (kind === "ndjson") {
  const check = validator(JSON.parse(readFileSync(schema)));
  const lines = text.split("\n").filter(Boolean);
  lines.forEach((line, n) => check(JSON.parse(line), "line " + (n + 1)));
  if (!lines.length) faults.push("no line");
} else if (kind === "har") {
  const schemas = require("har-schema");
  const { har, ...others } = schemas;
  validator(har, ...Object.values(others))(JSON.parse(text), "");
} else if (kind === "csv") {
  // A spreadsheet that opens the file makes a formula of no cell.
  const sheet = rows();
  for (const [name, cell] of Object.entries(sheet)) {
    if (name.startsWith("!")) continue;
    if (cell.f !== undefined) faults.push(name + " is a formula: " + cell.f);
    if (typeof cell.v === "string" && /^\s*[=+@\t\r|%＝＋－＠-]/.test(cell.v)) faults.push(name + " could be a formula: " + cell.v);
  }
  if (!sheet["!ref"]) faults.push("no cell");
} else if (kind === "markdown") {
  // What GitHub would render: nothing of it is a link, an image, markup or a mention; text from the wire is code.
  const markdown = require("markdown-it")({ html: true, linkify: true });
  const visit = tokens => tokens.forEach(token => {
    if (["html_block", "html_inline", "image", "link_open"].includes(token.type)) faults.push(token.type + ": " + token.content.slice(0, 80));
    if (token.type === "text" && /(^|[^\w`])[@#][\w-]|:\/\/|\bGH-\d/.test(token.content)) faults.push("text: " + token.content.slice(0, 80));
    if (token.children) visit(token.children);
  });
  visit(markdown.parse(text, {}));
  if (Buffer.byteLength(text) > 1 << 20) faults.push("more than 1 MiB");
} else faults.push("no such kind: " + kind);

console.log(JSON.stringify(faults));
