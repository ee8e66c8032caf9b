/** The time of a line, as the list shows it. */
const two = (n: number) => (n < 10 ? `0${n}` : String(n));
const three = (n: number) => (n < 10 ? `00${n}` : n < 100 ? `0${n}` : String(n));

export function clock(ms: number): string {
  const date = new Date(ms);
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${three(date.getMilliseconds())}`;
}

export function dayAndClock(ms: number): string {
  const date = new Date(ms);
  return `${two(date.getMonth() + 1)}-${two(date.getDate())} ${clock(ms)}`;
}

/** All nine digits, in UTC: `2026-11-20T11:20:00.123456789Z`. */
export function exact(ns: string): string {
  const seconds = new Date(Number(ns.slice(0, -9)) * 1000).toISOString().slice(0, 19);
  return `${seconds}.${ns.slice(-9)}Z`;
}
