// HTTP calls to the service. Every failure becomes a Problem that says what went wrong and what the user can do.

export class Problem extends Error {
  constructor({ code, title, remedy = "", status = 0 }) {
    super(title);
    this.code = code;
    this.remedy = remedy;
    this.status = status;
  }
}

/** The token comes in the address's fragment, which browsers never send; it stays in this tab. */
export function accessToken() {
  const found = new URLSearchParams(location.hash.slice(1)).get("token");
  if (found) {
    sessionStorage.setItem("omnidrop-token", found);
    history.replaceState(null, "", location.pathname + location.search);
  }
  return sessionStorage.getItem("omnidrop-token");
}

/** Path of a session's resource, e.g. sessionPath(id, "questions"). */
export const sessionPath = (session, ...rest) => ["/v1/sessions", ...[session, ...rest].map(encodeURIComponent)].join("/");

/** `keepalive` lets the request outlive the page. */
export async function call(method, path, { body, type = "application/json", headers = {}, keepalive = false } = {}) {
  const token = accessToken();
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = type;
  let response;
  try {
    response = await fetch(path, { method, headers, keepalive, body: type === "application/json" && body !== undefined ? JSON.stringify(body) : body });
  } catch {
    throw new Problem({ code: "unreachable", title: "The service does not answer.", remedy: "Check that it is running and that this device is online, then try again." });
  }
  if (response.ok) return response;
  let problem = {};
  try { problem = await response.json(); } catch { /* a proxy's own error page carries no problem document */ }
  throw new Problem({
    code: problem.code ?? "http",
    title: problem.detail ?? problem.title ?? `The service answered ${response.status}.`,
    remedy: response.status === 401 ? "Open the page with #token=… and your token in its address." : problem.remedy ?? "Try again.",
    status: response.status,
  });
}

export const getJson = async (path) => (await call("GET", path)).json();
