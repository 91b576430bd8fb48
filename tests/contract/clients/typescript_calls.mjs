// Makes calls with the TypeScript client 2.x and prints what came of them as one JSON array.
// Usage: node typescript_calls.mjs NODE_MODULES URL legacy|auto < [[TOOL, ARGUMENTS], ...]
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, url, mode] = process.argv.slice(2);
const entry = join(modules, "@modelcontextprotocol/client/dist/index.mjs");
const { Client, StreamableHTTPClientTransport } = await import(pathToFileURL(entry).href);

const client = new Client(
  { name: "caller", version: "1.0.0" },
  mode === "auto" ? { versionNegotiation: { mode } } : {},
);
await client.connect(new StreamableHTTPClientTransport(new URL(url)));
const results = [];
for (const [name, args] of JSON.parse(readFileSync(0, "utf8"))) {
  const result = await client.callTool({ name, arguments: args });
  results.push({
    text: result.content.map((part) => part.text ?? "").join(""),
    data: result.structuredContent ?? null,
    failed: result.isError === true,
  });
}
console.log(JSON.stringify(results));
await client.close();
