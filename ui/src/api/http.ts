/** The only place that fetches. Addresses are relative to the page, so that a path prefix needs no setting. */

export type ProblemKind =
  'unreachable' | 'refused' | 'unauthorized' | 'tooMuch' | 'busy' | 'failed' | 'unreadable';

/** Why an answer did not come, in a form that can be put into words. */
export class Problem extends Error {
  constructor(
    readonly kind: ProblemKind,
    /** What the server itself said; empty when it said nothing. */
    readonly said: string,
    readonly status = 0,
  ) {
    super(said || kind);
  }
}

const MAX_SAID_CHARS = 600;

export function address(path: string, params: Readonly<Record<string, string>> = {}): URL {
  const url = new URL(path, document.baseURI);
  url.search = new URLSearchParams(params).toString();
  url.hash = '';
  return url;
}

export async function getJson(url: URL, signal: AbortSignal, headers: HeadersInit = {}): Promise<unknown> {
  let response: Response;
  try {
    response = await fetch(url, { signal, headers });
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Problem('unreachable', '');
  }
  if (!response.ok) throw new Problem(kindOf(response.status), await said(response), response.status);
  try {
    return await response.json();
  } catch (error) {
    if (signal.aborted) throw error;
    throw new Problem('unreadable', '', response.status);
  }
}

function kindOf(status: number): ProblemKind {
  if (status === 401 || status === 403) return 'unauthorized';
  if (status === 413) return 'tooMuch';
  if (status === 429 || status === 503) return 'busy';
  return status < 500 ? 'refused' : 'failed';
}

/** Loki answers errors as plain text, other front doors as JSON or as a page of HTML. */
async function said(response: Response): Promise<string> {
  const text = (await response.text().catch(() => '')).trim();
  if (response.headers.get('content-type')?.includes('html')) return '';
  try {
    const body = JSON.parse(text) as { error?: unknown; message?: unknown };
    const inner = body.error ?? body.message;
    if (typeof inner === 'string') return inner.slice(0, MAX_SAID_CHARS);
  } catch {
    // Plain text.
  }
  return text.slice(0, MAX_SAID_CHARS);
}
