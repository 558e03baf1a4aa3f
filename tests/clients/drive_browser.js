// A page's own fetch and FormData, step by step. The whole is a function that is given a step's name and what it needs.

async ([step, given]) => {
  const model = "sora-2";
  const headers = (more = {}, key = given.key) => ({ authorization: `Bearer ${key}`, ...more });
  const pause = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));
  const chosen = (id) => document.getElementById(id).files[0]; // in an <input type="file">
  const bytes = async (file) => new Uint8Array(await file.arrayBuffer());

  async function read(answer) {
    const body = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(body.error.message), { answer, body });
    return body;
  }

  function form(fields) {
    const made = new FormData();
    for (const [name, ...value] of fields) made.append(name, ...value);
    return made;
  }

  const post = async (path, fields, more = {}, base = given.url) =>
    read(await fetch(`${base}${path}`, { method: "POST", headers: headers(more), body: form(fields) }));

  const postJSON = async (path, body) =>
    read(
      await fetch(`${given.url}${path}`, {
        method: "POST",
        headers: headers({ "content-type": "application/json" }),
        body: JSON.stringify(body),
      }),
    );

  const get = async (path, key) => read(await fetch(`${given.url}${path}`, { headers: headers({}, key) }));

  const create = (more = []) => post("/videos", [["model", model], ["prompt", given.prompt], ...more]);
  const sized = [["seconds", "4"], ["size", "1280x720"]];

  async function finished(video) {
    while (!["completed", "succeeded", "failed"].includes(video.status)) {
      await pause(200);
      video = await get(`/videos/${video.id}`);
    }
    return video;
  }

  function flat(value, path) {
    if (Array.isArray(value)) return value.flatMap((each) => flat(each, `${path}[]`));
    if (value !== null && typeof value === "object")
      return Object.entries(value).flatMap(([key, each]) => flat(each, path ? `${path}[${key}]` : key));
    return [[path, String(value)]];
  }

  const optional = (path) =>
    Promise.all(
      given.optional.map((each) =>
        post("/videos", [["model", each.model], ["prompt", each.prompt], ...flat(each.options, path)]),
      ),
    );

  async function listed(order) {
    const ids = [];
    let after = "";
    for (;;) {
      const page = await get(`/videos?limit=2&order=${order}${after}`, given.five_key);
      ids.push(...page.data.map((video) => video.id));
      if (!page.has_more) return ids;
      after = `&after=${page.last_id}`;
    }
  }

  async function error(call) {
    try {
      await call();
    } catch (raised) {
      const { code, param } = raised.body.error;
      const { status, headers: said } = raised.answer;
      return { class: raised.name, status, message: raised.message, code, param, request_id: said.get("x-request-id") };
    }
    return null;
  }

  // What is returned to the test as the bytes of a file.
  async function base64(content) {
    const reader = new FileReader();
    await new Promise((done) => {
      reader.onload = done;
      reader.readAsDataURL(content);
    });
    return reader.result.split(",")[1];
  }

  const content = (query = "") => fetch(`${given.url}/videos/${given.big}/content${query}`, { headers: headers() });

  async function stream() {
    const reader = (await content()).body.getReader();
    const pieces = [];
    for (let next = await reader.read(); !next.done; next = await reader.read()) pieces.push(next.value);
    return { saved: await base64(new Blob(pieces)), result: pieces.length };
  }

  // Browsers repeat some lost requests themselves, and report others as a TypeError.
  async function lost(more = []) {
    const ask = () =>
      post(
        "/videos",
        [["model", model], ["prompt", given.prompt], ...more],
        { "idempotency-key": given.prompt },
        given.lossy,
      );
    try {
      return await ask();
    } catch (raised) {
      if (!(raised instanceof TypeError)) throw raised;
      return ask();
    }
  }

  const steps = {
    create: () => create(sized),
    poll: async () => finished(await create(sized)),
    metadata: () => optional("metadata"),
    options: () => optional(""),
    json: () =>
      postJSON("/videos", {
        model: "wan2.5-t2v-preview",
        prompt: given.prompt,
        "metadata[watermark]": false,
        "metadata[seed]": 7,
      }),
    "picture-file": () => create([["input_reference", chosen("picture")]]),
    "picture-blob": async () => create([["input_reference", new Blob([await bytes(chosen("picture"))])]]),
    "picture-named": async () => {
      const file = new File([await bytes(chosen("picture"))], "猫.png", { type: "image/png" });
      return create([["input_reference", file]]);
    },
    "picture-fetched": async () => create([["input_reference", await (await fetch(given.link)).blob(), "cat.png"]]),
    "picture-several": () =>
      post("/videos", [
        ["model", "viduq1"],
        ["prompt", given.prompt],
        ["input_reference", chosen("picture")],
        ["input_reference", chosen("second")],
      ]),
    "picture-link": () => create([["input_reference[image_url]", given.link]]),
    "picture-data": () => create([["input_reference[image_url]", given.data]]),
    "picture-text": () => create([["input_reference", given.link]]),
    "picture-json": () =>
      postJSON("/videos", { model, prompt: given.prompt, "input_reference[image_url]": given.link }),
    retrieve: () => get(`/videos/${given.source}`),
    list: async () => [await listed("desc"), await listed("asc")],
    delete: async () => {
      const made = await create();
      const path = `/videos/${made.id}`;
      const gone = await read(await fetch(`${given.url}${path}`, { method: "DELETE", headers: headers() }));
      return { made: made.id, gone, then: await error(() => get(path)) };
    },
    download: async () => ({ saved: await base64(await (await content()).blob()), result: null }),
    "download-stream": stream,
    "download-variant": async () => ({
      saved: await base64(await (await content("?variant=thumbnail")).blob()),
      result: null,
    }),
    remix: () => postJSON(`/videos/${given.source}/remix`, { prompt: given.prompt }),
    edit: () => post("/videos/edits", [["prompt", given.prompt], ["video[id]", given.source]]),
    "edit-file": () => post("/videos/edits", [["prompt", given.prompt], ["video", chosen("film")]]),
    extend: () => postJSON("/videos/extensions", { prompt: given.prompt, seconds: "4", video: { id: given.source } }),
    "extend-file": () =>
      post("/videos/extensions", [["prompt", given.prompt], ["seconds", "4"], ["video", chosen("film")]]),
    errors: async () => ({
      model: await error(() => post("/videos", [["model", "no-such-model"], ["prompt", "x"]])),
      key: await error(() => get("/videos", "vg-wrong")),
      unknown: await error(() => get("/videos/video_unknown")),
      early: await error(() => get(`/videos/${given.unfinished}/content`)),
    }),
    failed: async () => finished(await create()),
    lost: () => lost(),
    "lost-upload": () => lost([["input_reference", chosen("picture")]]),
  };

  const late = async () => {
    await pause(120_000);
    throw new Error(`${step} takes more than two minutes`);
  };
  return Promise.race([steps[step](), late()]);
}
