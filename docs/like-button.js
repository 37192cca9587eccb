// <button data-like="video:42">♥ <output></output></button> <script src="like-button.js" data-api="https://likes.example.org" data-key="…"></script>
const { api, key } = document.currentScript.dataset;

async function ask(path, options = {}) {
  const headers = { Authorization: `Bearer ${key}`, ...options.headers };
  for (let tries = 1; ; tries++) { // under the same Idempotency-Key, so that a repeat counts nothing twice
    const answer = await fetch(api + path, { ...options, headers }).catch(() => null); // null: offline
    if (answer?.ok) return answer.json();
    if (tries === 5 || (answer && answer.status !== 429 && answer.status < 500)) throw Error(answer?.statusText || "offline");
    await new Promise((go) => setTimeout(go, 1000 * (answer?.headers.get("Retry-After") || tries)));
  }
}

for (const button of document.querySelectorAll("[data-like]")) {
  const item = `/v1/items/${encodeURIComponent(button.dataset.like)}`;
  const show = async () => { button.querySelector("output").value = (await ask(item)).total; };
  const like = () => ask(`${item}/likes`, { method: "POST", headers: { "Idempotency-Key": `"${crypto.randomUUID?.() ?? Math.random()}"` } });
  const failed = (error) => { button.title = `Try again later: ${error.message}`; };
  button.onclick = () => like().then(show).catch(failed);
  show().catch(failed);
}
