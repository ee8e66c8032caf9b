import { expect, test } from 'vitest';
import { actionOf } from '../src/state/keys';

function press(code: string, options: KeyboardEventInit = {}, target: HTMLElement = document.body) {
  let action: ReturnType<typeof actionOf> | undefined;
  let withoutSingleKeys: ReturnType<typeof actionOf> | undefined;
  const listen = (event: KeyboardEvent) => {
    action = actionOf(event, true);
    withoutSingleKeys = actionOf(event, false);
  };
  window.addEventListener('keydown', listen, { once: true });
  target.dispatchEvent(new KeyboardEvent('keydown', { code, bubbles: true, composed: true, ...options }));
  return { action, withoutSingleKeys };
}

test('a key counts by its place, whatever letter the language writes there', () => {
  expect(press('KeyJ', { key: 'ㅓ' }).action).toBe('next');
  expect(press('KeyJ', { shiftKey: true }).action).toBe('nextError');
  expect(press('KeyJ', { ctrlKey: true }).action).toBeNull();
});

test('single keys can be switched off, named keys stay', () => {
  expect(press('KeyE').withoutSingleKeys).toBeNull();
  expect(press('Escape').withoutSingleKeys).toBe('close');
});

test('whoever types, types', () => {
  const input = document.createElement('input');
  document.body.append(input);
  expect(press('KeyE', {}, input).action).toBeNull();
  const button = document.createElement('button');
  document.body.append(button);
  expect(press('Space', {}, button).action).toBeNull();
  expect(press('KeyE', {}, button).action).toBe('errors');
  expect(press('KeyJ', { isComposing: true }).action).toBeNull();
});
