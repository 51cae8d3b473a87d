// Reads an event stream with EventSource, which reconnects and sends Last-Event-ID by itself, but cannot send the API key.
// So whoever holds the key (here: this script; better: your server) mints a ticket, and the page opens the stream with it.
// Runs in a browser as it is, in Node.js with the package `eventsource`. Ends when its own event comes back.
const EventSource = globalThis.EventSource ?? (await import('eventsource')).EventSource;
const url = process.env.SLUICE_URL;
const headers = { 'X-API-Key': process.env.SLUICE_KEY, 'Content-Type': 'application/json' };

// `origin` is that of the page: the ticket is refused from any other. Without it, it is for clients that are no browsers.
const minted = await fetch(`${url}/tickets`, { method: 'POST', headers, body: '{}' });
if (minted.status !== 201) throw new Error(`${minted.status}: ${await minted.text()}`);
const { ticket, expires_at: expiresAt } = await minted.json();
console.log('ticket until', expiresAt);

const marker = `order-${Date.now()}`;
const source = new EventSource(`${url}?from=latest&ticket=${encodeURIComponent(ticket)}`);
const publish = () => fetch(url, { method: 'POST', headers, body: JSON.stringify({ order: marker }) });
let timer;
source.onopen = () => { timer ??= setInterval(publish, 500); };
source.addEventListener('gap', ({ data }) => console.log('events were lost to this reader:', data));
source.onmessage = ({ data, lastEventId }) => {
  console.log('event', data, 'then', lastEventId.length, 'characters of cursor');
  if (JSON.parse(data).data?.order === marker) {
    clearInterval(timer);
    source.close();
  }
};
