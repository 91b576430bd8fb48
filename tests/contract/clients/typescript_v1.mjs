// Visits a server with the TypeScript SDK 1.x and prints what it saw as one JSON object.
// Usage: node typescript_v1.mjs NODE_MODULES URL PREFIX
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, url, prefix] = process.argv.slice(2);
const load = (path) => import(pathToFileURL(join(modules, "@modelcontextprotocol/sdk/dist/esm", path)).href);
const { Client } = await load("client/index.js");
const { StreamableHTTPClientTransport } = await load("client/streamableHttp.js");
const { ElicitRequestSchema } = await load("types.js");

const client = new Client({ name: "visitor", version: "1.0.0" }, { capabilities: { elicitation: {} } });
client.setRequestHandler(ElicitRequestSchema, async () => ({
  action: "accept",
  content: { username: "ada", email: "ada@example.com" },
}));
const transport = new StreamableHTTPClientTransport(new URL(url));
await client.connect(transport);

const progress = [];
const call = (name, args = {}, options) => client.callTool({ name: prefix + name, arguments: args }, undefined, options);
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
    version: transport.protocolVersion,
    tools,
    simple: text(simple),
    counted: text(counted),
    progress,
    failed: failed.isError === true,
    asked: text(asked),
    refused: refused.code ?? 0,
  }),
);
await transport.terminateSession();
await client.close();
