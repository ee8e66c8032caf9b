/** The keyboard map, as data: what the dialog shows and what the page does are the same list. */
import type { PlainKey } from '../words/words.svelte';

export type Action =
  | 'query'
  | 'run'
  | 'live'
  | 'hold'
  | 'errors'
  | 'next'
  | 'previous'
  | 'nextError'
  | 'previousError'
  | 'close'
  | 'newest'
  | 'oldest'
  | 'wrap'
  | 'raw'
  | 'order'
  | 'labels'
  | 'time'
  | 'earlier'
  | 'later'
  | 'zoomOut'
  | 'zoomBack'
  | 'copy'
  | 'copyLink'
  | 'help';

interface KeyWords {
  shown: readonly string[];
  words: PlainKey;
}

export const KEYS: readonly KeyWords[] = [
  { shown: ['/'], words: 'keyQuery' },
  { shown: ['r'], words: 'keyRun' },
  { shown: ['l'], words: 'keyLive' },
  { shown: ['Space'], words: 'keyHold' },
  { shown: ['e'], words: 'keyErrors' },
  { shown: ['t'], words: 'keyTime' },
  { shown: ['j', 'k'], words: 'keyMove' },
  { shown: ['J', 'K'], words: 'keyMoveErrors' },
  { shown: ['G'], words: 'keyNewest' },
  { shown: ['g'], words: 'keyOldest' },
  { shown: ['Esc'], words: 'keyClose' },
  { shown: ['y', 'Y'], words: 'keyCopy' },
  { shown: ['w'], words: 'keyWrap' },
  { shown: ['R'], words: 'keyRaw' },
  { shown: ['o'], words: 'keyOrder' },
  { shown: ['\\'], words: 'keyLabels' },
  { shown: ['[', ']'], words: 'keyShift' },
  { shown: ['-'], words: 'keyZoomOut' },
  { shown: ['z'], words: 'keyZoomBack' },
  { shown: ['?'], words: 'keyHelp' },
];

/** By place on the keyboard, not by letter: with Hangul on, the key of `j` writes ㅓ. A leading `+` is Shift. */
const ACTIONS: Record<string, Action> = {
  Slash: 'query',
  '+Slash': 'help',
  KeyR: 'run',
  '+KeyR': 'raw',
  KeyL: 'live',
  Space: 'hold',
  KeyE: 'errors',
  KeyT: 'time',
  KeyJ: 'next',
  ArrowDown: 'next',
  KeyK: 'previous',
  ArrowUp: 'previous',
  '+KeyJ': 'nextError',
  '+KeyK': 'previousError',
  '+KeyG': 'newest',
  KeyG: 'oldest',
  Escape: 'close',
  KeyY: 'copy',
  '+KeyY': 'copyLink',
  KeyW: 'wrap',
  KeyO: 'order',
  Backslash: 'labels',
  BracketLeft: 'earlier',
  BracketRight: 'later',
  Minus: 'zoomOut',
  KeyZ: 'zoomBack',
};
/** Single letters and signs can be switched off (WCAG 2.1.4); these keys are neither. */
const NAMED_KEYS: ReadonlySet<string> = new Set(['Escape', 'ArrowDown', 'ArrowUp', 'Space']);
const TYPING = 'input, textarea, select, [contenteditable=true], dialog, [role=dialog]';
/** Space and the arrows belong to these. */
const PRESSABLE = 'button, a, summary';

/** What a key press asks for; null when it belongs to something else. */
export function actionOf(event: KeyboardEvent, singleKeys: boolean): Action | null {
  if (event.metaKey || event.ctrlKey || event.altKey || event.isComposing || event.defaultPrevented)
    return null;
  const target = event.composedPath()[0];
  if (target instanceof Element && target.closest(TYPING)) return null;
  if (event.code === 'Space' && target instanceof Element && target.closest(PRESSABLE)) return null;
  const action = ACTIONS[(event.shiftKey ? '+' : '') + event.code] ?? null;
  return singleKeys || NAMED_KEYS.has(event.code) ? action : null;
}
