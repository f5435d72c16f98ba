// Inside a Space the app stands in a frame, and the address that people copy is that of the page
// around it. That page hands its query string and hash in when it loads; this hands them out again
// whenever they change. The app's own page goes out as the hash, since the outer path is fixed.

const OUTSIDE = "https://huggingface.co";
const LOOK_MS = 300;
const OTHER_PAGE = /^#\/[a-z-]+$/;

export default function () {
  if (location.pathname === "/" && OTHER_PAGE.test(location.hash)) {
    location.replace(location.hash.slice(1) + location.search);
    return;
  }
  let told;
  const tell = () => {
    const params = new URLSearchParams(location.search);
    for (const name of [...params.keys()]) if (name.startsWith("__")) params.delete(name); // theirs
    const hash = location.pathname === "/" ? "" : "#" + location.pathname;
    const message = { queryString: params.toString(), hash };
    if (told === JSON.stringify(message)) return;
    told = JSON.stringify(message);
    window.parent.postMessage(message, OUTSIDE);
  };
  tell();
  const timer = setInterval(tell, LOOK_MS); // nobody is told of history.replaceState
  return () => clearInterval(timer);
}
