// What an application does with OpenAI's client for Node; prints what came of it as JSON.
import OpenAI from "openai";

const client = new OpenAI({ maxRetries: 0 });
const store = await client.vectorStores.create({ name: "guide" });
const file = await client.files.create({
  file: new File(["# Reset\n\nA link arrives by mail.\n\n# Other\n\nNothing."], "login.md"),
  purpose: "assistants",
});
const attached = await client.vectorStores.files.createAndPoll(store.id, { file_id: file.id, attributes: { kind: "faq" } });
const tool = {
  type: "file_search",
  vector_store_ids: [store.id],
  filters: { type: "eq", key: "kind", value: "faq" },
};
const question = { model: "any", input: "reset", tools: [tool], include: ["file_search_call.results"] };
const response = await client.responses.create(question);
const events = [];
for await (const event of await client.responses.create({ ...question, stream: true })) events.push(event);
const streamed = await client.responses.stream(question).finalResponse();
const models = [];
for await (const model of client.models.list()) models.push(model.id);
const refusal = await client.responses.create({ ...question, tools: [{ type: "file_search" }] }).catch((error) => error);
console.log(
  JSON.stringify({
    attached: attached.status,
    text: response.output_text,
    results: response.output[0].results.map((result) => result.filename),
    citations: response.output[1].content[0].annotations.map((citation) => citation.filename),
    deltas: events.filter((event) => event.type === "response.output_text.delta").map((event) => event.delta).join(""),
    last: events.at(-1).type,
    streamed: streamed.output_text,
    models,
    refusal: [refusal.constructor.name, refusal.status, refusal.param],
  }),
);
