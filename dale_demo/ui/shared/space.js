// Keep the address of the page around a Space's frame equal to the app's own.
//
// The outer page passes its query string and hash to the frame when it loads; this sends them back
// whenever they change. The outer path is fixed, so the app's page is sent as the hash.

const OUTER_ORIGIN = "https://huggingface.co";
const POLL_MS = 300;
const OTHER_PAGE = /^#\/[a-z-]+$/; // one plain segment: "#//host" would leave the app

export default function () {
  if (location.pathname === "/" && OTHER_PAGE.test(location.hash)) {
    location.replace(location.hash.slice(1) + location.search);
    return;
  }
  let sent;
  const send = () => {
    const params = new URLSearchParams(location.search);
    // The Hub adds parameters such as __theme, which are none of the app's settings.
    for (const name of [...params.keys()]) if (name.startsWith("__")) params.delete(name);
    const hash = location.pathname === "/" ? "" : "#" + location.pathname;
    const message = { queryString: params.toString(), hash };
    if (sent === JSON.stringify(message)) return;
    sent = JSON.stringify(message);
    window.parent.postMessage(message, OUTER_ORIGIN);
  };
  send();
  const timer = setInterval(send, POLL_MS); // history.replaceState fires no event
  return () => clearInterval(timer);
}
