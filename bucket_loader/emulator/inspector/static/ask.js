// Asking the emulator, which is at the address that this page is from.

export const MAIN = "main";
export const ENVIRONMENT = new URLSearchParams(location.search).get("environment") ?? MAIN;
export const TITLE = ENVIRONMENT === MAIN ? "Bucket emulator" : `${ENVIRONMENT} · Bucket emulator`;
const HERE = ENVIRONMENT === MAIN ? "" : `environments/${encodeURIComponent(ENVIRONMENT)}/`;

/** Where something is that is about the environment that is shown; a path that begins with / is about all of them. */
export const where = (path) => `_emulator/${path[0] === "/" ? path.slice(1) : HERE + path}`;

export const query = (members) => new URLSearchParams(members).toString();

export async function ask(path, options = {}) {
  const answer = await fetch(where(path), {cache: "no-store", ...options});
  const body = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(body.error?.message ?? answer.statusText), {status: answer.status});
  return body;
}
