// OpenAI's SDK for JavaScript, step by step. Run by Node in the folder where the version in question is installed.
// One line of JSON in is a step's name and what it is given; one line of JSON out is what the SDK gave back.

import { createReadStream, createWriteStream, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";

const { OpenAI, toFile } = createRequire(`${process.cwd()}/`)("openai");

const model = "sora-2";
const connect = (given, more = {}) => new OpenAI({ apiKey: given.key, baseURL: given.url, ...more });

const create = (client, given, more = {}) => client.videos.create({ model, prompt: given.prompt, ...more });

// The SDK has no poll helper: this is the loop of OpenAI's own guide.
async function finished(client, video, milliseconds) {
  while (video.status === "queued" || video.status === "in_progress") {
    await pause(milliseconds);
    video = await client.videos.retrieve(video.id);
  }
  return video;
}

// What a call rejects with, as its caller sees it.
async function error(call) {
  try {
    await call();
  } catch (raised) {
    return {
      class: raised.constructor.name,
      status: raised.status,
      message: raised.message,
      code: raised.code,
      param: raised.param,
      request_id: raised.requestID,
    };
  }
  return null;
}

async function listed(client, order) {
  const ids = [];
  for await (const video of client.videos.list({ limit: 2, order })) ids.push(video.id);
  return ids;
}

const optional = (client, given, body) =>
  Promise.all(given.optional.map((each) => client.videos.create({ model: each.model, prompt: each.prompt, ...body(each) })));

const picture = async (client, given, reference) => create(client, given, { input_reference: await reference });
const content = (given) => readFileSync(given.picture);

async function save(given, answer) {
  writeFileSync(given.out, Buffer.from(await (await answer).arrayBuffer()));
  return null;
}

async function stream(client, given) {
  const answer = await client.videos.downloadContent(given.big);
  const file = createWriteStream(given.out);
  let pieces = 0;
  for await (const piece of answer.body) {
    pieces += 1;
    file.write(piece);
  }
  await new Promise((done) => file.end(done));
  return pieces;
}

const lost = async (given, more = {}) => create(connect(given, { baseURL: given.lossy }), given, more);

const steps = {
  create: (client, given) => create(client, given, { seconds: "4", size: "1280x720" }),
  poll: async (client, given) =>
    finished(client, await create(client, given, { seconds: "4", size: "1280x720" }), 200),
  metadata: (client, given) => optional(client, given, (each) => ({ metadata: each.options })),
  options: (client, given) => optional(client, given, (each) => each.options),
  json: (client, given) =>
    client.post("/videos", {
      body: { model: "wan2.5-t2v-preview", prompt: given.prompt, "metadata[watermark]": false, "metadata[seed]": 7 },
    }),
  "picture-open": (client, given) => picture(client, given, createReadStream(given.picture)),
  "picture-bytes": (client, given) => picture(client, given, toFile(content(given))),
  "picture-blob": (client, given) => picture(client, given, new Blob([content(given)])),
  "picture-named": (client, given) => picture(client, given, new File([content(given)], "猫.png", { type: "image/png" })),
  "picture-fetched": (client, given) => picture(client, given, fetch(given.link)),
  "picture-several": async (client, given) =>
    client.videos.create({
      model: "viduq1",
      prompt: given.prompt,
      input_reference: [await toFile(content(given), "a.png"), await toFile(readFileSync(given.second), "b.png")],
    }),
  "picture-link": (client, given) => picture(client, given, { image_url: given.link }),
  "picture-data": (client, given) => picture(client, given, { image_url: given.data }),
  "picture-text": (client, given) => picture(client, given, given.link),
  "picture-json": (client, given) =>
    client.post("/videos", { body: { model, prompt: given.prompt, "input_reference[image_url]": given.link } }),
  retrieve: (client, given) => client.videos.retrieve(given.source),
  list: async (client, given) => {
    const other = connect(given, { apiKey: given.five_key });
    return [await listed(other, "desc"), await listed(other, "asc")];
  },
  delete: async (client, given) => {
    const made = await create(client, given);
    const gone = await client.videos.delete(made.id);
    return { made: made.id, gone, then: await error(() => client.videos.retrieve(made.id)) };
  },
  download: (client, given) => save(given, client.videos.downloadContent(given.big)),
  "download-stream": stream,
  "download-variant": (client, given) =>
    save(given, client.videos.downloadContent(given.source, { variant: "thumbnail" })),
  remix: (client, given) => client.videos.remix(given.source, { prompt: given.prompt }),
  edit: (client, given) => client.videos.edit({ prompt: given.prompt, video: { id: given.source } }),
  "edit-file": (client, given) => client.videos.edit({ prompt: given.prompt, video: createReadStream(given.film) }),
  extend: (client, given) =>
    client.videos.extend({ prompt: given.prompt, seconds: "4", video: { id: given.source } }),
  "extend-file": (client, given) =>
    client.videos.extend({ prompt: given.prompt, seconds: "4", video: createReadStream(given.film) }),
  errors: async (client, given) => ({
    model: await error(() => client.videos.create({ model: "no-such-model", prompt: "x" })),
    key: await error(() => connect(given, { apiKey: "vg-wrong" }).videos.list()),
    unknown: await error(() => client.videos.retrieve("video_unknown")),
    early: await error(() => client.videos.downloadContent(given.unfinished)),
  }),
  failed: async (client, given) => finished(client, await create(client, given), 100),
  lost: (client, given) => lost(given),
  "lost-upload": async (client, given) => lost(given, { input_reference: await toFile(content(given), "cat.png") }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const [step, given] = JSON.parse(line);
  let answer;
  try {
    answer = { result: (await steps[step](connect(given), given)) ?? null };
  } catch (raised) {
    answer = { raised: `${raised.stack}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
