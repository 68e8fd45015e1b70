// One stream of server-sent events; it comes back by itself and says when it is gone.

const SILENT_MS = 4000; // the console sends once a second
const REOPEN_MS = 3000;

/**
 * Watch the plant. `heard` gets each snapshot; `tick` is called every 500 ms with how long ago (s)
 * the last one came, or null before the first; `refused` when the console answers and lets nobody in.
 */
export function watch(heard, tick, refused) {
  let source;
  let last = null;
  let opened = 0;

  function open() {
    source?.close();
    opened = performance.now();
    source = new EventSource("/events");
    source.addEventListener("state", (event) => {
      last = performance.now();
      heard(JSON.parse(event.data));
    });
  }

  function check() {
    const now = performance.now();
    const silent = now - Math.max(last ?? 0, opened) > SILENT_MS;
    // a half-open connection never errs, and a refused one is never tried again by the browser
    if (source.readyState === EventSource.CLOSED && now - opened > REOPEN_MS) refused();
    if ((silent || source.readyState === EventSource.CLOSED) && now - opened > REOPEN_MS) open();
    tick(last === null ? null : (now - last) / 1000);
  }

  open();
  setInterval(check, 500);
  document.addEventListener("visibilitychange", check);
}

export const LOST_S = SILENT_MS / 1000;
