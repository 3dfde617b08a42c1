// Requests to the REST API. Errors are ApiError, whose message is a sentence for people.

const API = "/api/v1";
const TIMEOUT_MS = 15000;
let csrfToken = null;

export class ApiError extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/* The address of a path of the API with parameters; null and empty ones are left out. */
export const address = (path, parameters = {}) => {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const query = new URLSearchParams(given.flatMap(([name, value]) => [value].flat().map((each) => [name, each])));
  return `${API}${path}${given.length ? `?${query}` : ""}`;
};

const send = async (method, url, body) => {
  const headers = { Accept: "application/json" };
  if (method !== "GET" && csrfToken) headers["X-CSRF-Token"] = csrfToken;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  let response;
  try {
    response = await fetch(url, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  } catch {
    throw new ApiError(0, "The server does not respond.");
  }
  const text = await response.text();
  let document = null;
  try {
    document = text ? JSON.parse(text) : null;
  } catch {
    /* Not JSON: a proxy, for example. */
  }
  if (!response.ok) {
    if (response.status === 401) dispatchEvent(new Event("obswarm-login"));
    throw new ApiError(
      response.status,
      document?.detail || `The server answered ${response.status} ${response.statusText}`.trim() + ".",
    );
  }
  return document;
};

export const get = (path, parameters) => send("GET", address(path, parameters));
export const post = (path, body = {}) => send("POST", address(path), body);
/* Of a path that is none of the API. */
export const getPath = (path) => send("GET", path);

/* The session of this browser: {required, methods, user, csrf_token}. Its token goes with all later commands. */
export const session = async (credentials) => {
  const found = credentials ? await post("/session", credentials) : await get("/session");
  csrfToken = found.csrf_token;
  return found;
};

export const logout = () => send("DELETE", address("/session"));
