/** 16 × 16 outlines of one stroke, drawn for this interface. */
export const ICONS = {
  search: 'M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9zM10.3 10.3l3.2 3.2',
  clock: 'M8 2.2a5.8 5.8 0 1 1 0 11.6A5.8 5.8 0 0 1 8 2.2zM8 5v3.2l2.2 1.4',
  play: 'M5 3.2v9.6l8-4.8z',
  stop: 'M4 4h8v8H4z',
  plus: 'M8 4v8M4 8h8',
  minus: 'M4 8h8',
  close: 'M4 4l8 8M12 4l-8 8',
  copy: 'M5.5 5.5h8v8h-8zM3 10.5v-8h8',
  link: 'M6.7 9.3a2.6 2.6 0 0 0 3.7 0l2-2a2.6 2.6 0 0 0-3.7-3.7l-.8.8M9.3 6.7a2.6 2.6 0 0 0-3.7 0l-2 2a2.6 2.6 0 0 0 3.7 3.7l.8-.8',
  wrap: 'M2.5 4h11M2.5 8h8.2a2.3 2.3 0 0 1 0 4.6H8M9.5 10.8L7.7 12.6l1.8 1.8M2.5 12.6h2.4',
  order: 'M5 3v10M5 13l-2.2-2.2M5 13l2.2-2.2M9.5 4.5h4M9.5 8h3M9.5 11.5h2',
  raw: 'M5.5 4.5L2 8l3.5 3.5M10.5 4.5L14 8l-3.5 3.5',
  chevron: 'M4.5 6.5L8 10l3.5-3.5',
  left: 'M9.5 4.5L6 8l3.5 3.5',
  right: 'M6.5 4.5L10 8l-3.5 3.5',
  up: 'M8 12.5v-9M4.5 7L8 3.5 11.5 7',
  labels: 'M2.5 3h5l6 6-4.5 4.5-6.5-6zM5.3 5.8v.2',
  settings:
    'M2.5 4.5h6M12 4.5h1.5M2.5 11.5H4M7.5 11.5h6M10.2 2.7a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6zM5.8 9.7a1.8 1.8 0 1 1 0 3.6 1.8 1.8 0 0 1 0-3.6z',
  keyboard: 'M1.5 4h13v8h-13zM4 6.5v.1M6.7 6.5v.1M9.3 6.5v.1M12 6.5v.1M4.8 9.5h6.4',
  share: 'M11.5 10.5V13h-9V5h2.5M8 2.5h5.5V8M13.2 2.8L7 9',
  warning: 'M8 2.5l6 10.5H2zM8 6.5v3.2M8 11.4v.1',
  zoomOut: 'M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9zM10.3 10.3l3.2 3.2M5 7h4',
} as const;
export type IconName = keyof typeof ICONS;
