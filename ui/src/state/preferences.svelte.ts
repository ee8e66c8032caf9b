/** What the reader chose and expects to find again: kept in the browser, never in the address. */
import type { Language } from '../words/words.svelte';

export type Theme = 'auto' | 'light' | 'dark';
/** Height of a line in pixels. */
export type Spacing = 18 | 20 | 24;

interface Stored {
  language: Language;
  theme: Theme;
  spacing: Spacing;
  wrap: boolean;
  raw: boolean;
  keys: boolean;
  labels: boolean;
}

const STORE = 'sillok.preferences';

function browserLanguage(): Language {
  return navigator.language.toLowerCase().startsWith('ko') ? 'ko' : 'en';
}

function read(): Stored {
  let stored: Partial<Stored> = {};
  try {
    stored = JSON.parse(localStorage.getItem(STORE) ?? '{}') as Partial<Stored>;
  } catch {
    // Private windows may have no storage; a broken value is as good as none.
  }
  return {
    language: stored.language === 'ko' || stored.language === 'en' ? stored.language : browserLanguage(),
    theme: stored.theme === 'light' || stored.theme === 'dark' ? stored.theme : 'auto',
    spacing: stored.spacing === 18 || stored.spacing === 24 ? stored.spacing : 20,
    wrap: stored.wrap !== false,
    raw: stored.raw === true,
    keys: stored.keys !== false,
    labels: stored.labels !== false,
  };
}

class Preferences implements Stored {
  language = $state<Language>('en');
  theme = $state<Theme>('auto');
  spacing = $state<Spacing>(20);
  wrap = $state(true);
  raw = $state(false);
  keys = $state(true);
  labels = $state(true);
  private systemIsLight = $state(false);

  /** The theme to draw, whatever decided it. */
  readonly shownTheme = $derived(
    this.theme === 'auto' ? (this.systemIsLight ? 'light' : 'dark') : this.theme,
  );

  constructor() {
    Object.assign(this, read());
    const system = matchMedia('(prefers-color-scheme: light)');
    this.systemIsLight = system.matches;
    system.addEventListener('change', () => (this.systemIsLight = system.matches));
    this.apply();
  }

  /** To be called by an effect: it depends on everything that is stored or drawn. */
  save(): void {
    const { language, theme, spacing, wrap, raw, keys, labels } = this;
    this.apply();
    try {
      localStorage.setItem(STORE, JSON.stringify({ language, theme, spacing, wrap, raw, keys, labels }));
    } catch {
      // No storage: the choice lasts as long as the page.
    }
  }

  private apply(): void {
    document.documentElement.dataset['theme'] = this.shownTheme;
    document.documentElement.lang = this.language;
  }
}

export const preferences = new Preferences();
