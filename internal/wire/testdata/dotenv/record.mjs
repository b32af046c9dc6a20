// Records what the npm package dotenv makes of files: pieces alone, and pieces in a row that
// end or open each other's quotes. In test/sdk, where the package is installed:
//   node ../../internal/wire/testdata/dotenv/record.mjs > ../../internal/wire/testdata/dotenv/golden.json
import { createRequire } from "node:module";
import { join } from "node:path";

const dotenv = createRequire(join(process.cwd(), "package.json"))("dotenv");
const pieces = [
  "A=1", "B = two words  ", "C='single # not'", 'D="double \\n new"', "E=`back 'tick\"`", "export F=x", "G: yaml", "H=a#b",
  "I=a # c", 'J="open', "K='a' b", 'L="multi', "line two", 'end"', 'M="es\\"caped"', "N='C:\\dir\\'", "O=", "P=''",
  "# comment", "  Q = 1", 'R="a" "b"', 'S="x" # c', "T.t-t=1", "export=1", "U='a\\nb'", 'V="\\\\n"', "W='it\\'s'",
  "X=a=b=c", 'Y="tab\tin"', "nothing", "Z==1", "AA='\"'", "AB=\"'\"", 'AC="a`b"', "   ", "AD=é ü", "AE='multi", "AF=x'",
];
let seed = 7;
const upTo = (n) => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % n;
const rows = Array.from({ length: 200 }, () =>
  Array.from({ length: 2 + upTo(5) }, () => pieces[upTo(pieces.length)] + (upTo(10) ? "\n" : "\r\n")).join(""),
);
const recorded = [...pieces, ...rows].map((text) => JSON.stringify({ text, want: dotenv.parse(text) }));
console.log(`[\n${recorded.join(",\n")}\n]`);
