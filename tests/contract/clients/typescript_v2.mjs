// Visits a server with the TypeScript client 2.x and prints what it saw as one JSON object.
// Usage: node typescript_v2.mjs NODE_MODULES URL PREFIX legacy|auto
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, url, prefix, mode] = process.argv.slice(2);
const entry = join(modules, "@modelcontextprotocol/client/dist/index.mjs");
const { Client, StreamableHTTPClientTransport } = await import(pathToFileURL(entry).href);

const client = new Client(
  { name: "visitor", version: "1.0.0" },
  { capabilities: { elicitation: { form: {} } }, ...(mode === "auto" ? { versionNegotiation: { mode } } : {}) },
);
client.setRequestHandler("elicitation/create", async () => ({
  action: "accept",
  content: { username: "ada", email: "ada@example.com" },
}));
const transport = new StreamableHTTPClientTransport(new URL(url));
await client.connect(transport);

const progress = [];
const call = (name, args = {}, options) => client.callTool({ name: prefix + name, arguments: args }, options);
const text = (result) => result.content.map((part) => part.text ?? part.type).join("");
const tools = (await client.listTools()).tools.map((tool) => tool.name);
const simple = await call("test_simple_text");
const counted = await call("test_tool_with_progress", {}, { onprogress: (p) => progress.push([p.progress, p.total]) });
const failed = await call("test_error_handling");
const asked = await call("test_elicitation", { message: "Who are you?" });
const refused = await client.callTool({ name: prefix + "no_such_tool", arguments: {} }).then(
  (result) => ({ result }),
  (error) => ({ code: error.code }),
);
console.log(
  JSON.stringify({
    version: client.getNegotiatedProtocolVersion(),
    tools,
    simple: text(simple),
    counted: text(counted),
    progress,
    failed: failed.isError === true,
    asked: text(asked),
    refused: refused.code ?? 0,
  }),
);
await client.close();
