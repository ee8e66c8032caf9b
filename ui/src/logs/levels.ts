/** The levels of a line, worst first. Loki calls the worst `fatal` or `critical`; here it is one. */
export const LEVELS = ['critical', 'error', 'warn', 'info', 'debug', 'trace', 'unknown'] as const;
export type Level = (typeof LEVELS)[number];

/** Three letters beside the colour: a colour never stands alone. */
export const LEVEL_CODE: Record<Level, string> = {
  critical: 'CRT',
  error: 'ERR',
  warn: 'WRN',
  info: 'INF',
  debug: 'DBG',
  trace: 'TRC',
  unknown: '···',
};

/** What each level is called in stored data, lower case (Loki pkg/distributor/field_detection.go). */
const SPELLINGS: Record<Level, readonly string[]> = {
  critical: ['critical', 'fatal', 'emergency', 'alert', 'panic'],
  error: ['error', 'err', 'eror'],
  warn: ['warn', 'warning', 'wrn'],
  info: ['info', 'inf', 'information', 'notice'],
  debug: ['debug', 'dbg'],
  trace: ['trace', 'trc'],
  unknown: ['unknown'],
};
const BY_SPELLING = new Map(
  LEVELS.flatMap((level) => SPELLINGS[level].map((word) => [word, level] as const)),
);

export function toLevel(word: string | undefined): Level {
  return (word && BY_SPELLING.get(word.toLowerCase())) || 'unknown';
}

/** Loki's and Sillok's detected levels, as the alternatives of a regular expression. */
export function levelPattern(levels: readonly Level[]): string {
  return levels.flatMap((level) => (level === 'critical' ? ['critical', 'fatal'] : [level])).join('|');
}

const LEVEL_FIELD = /(?:\b|")(?:level|lvl|severity|levelname)"?\s*[:=]\s*"?([A-Za-z]+)/i;

/** What a line says of its own level, for answers that carry none (Loki's live tail). */
export function levelInLine(line: string): Level {
  return toLevel(LEVEL_FIELD.exec(line.slice(0, 2_000))?.[1]);
}

/** How many lines of each level. */
export type LevelCounts = Partial<Record<Level, number>>;
