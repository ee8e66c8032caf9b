import { expect, test } from 'vitest';
import { makeRow } from '../src/logs/row';
import { Tail, type Socket, type TailState } from '../src/logs/tail';

/** The server's side of a tail, by hand. */
function makeServer({ behind = [] as ReturnType<typeof makeRow>[], startNs = '1795236429000000001' } = {}) {
  const sockets: Socket[] = [];
  const starts: string[] = [];
  const shown: string[] = [];
  const states: TailState[] = [];
  const waits: number[] = [];
  let dropped = 0;
  let retry = () => {};
  const tail = new Tail({
    open: (start) => {
      starts.push(start);
      const socket: Socket = { onopen: null, onmessage: null, onclose: null, close() {} };
      sockets.push(socket);
      return socket;
    },
    labelNames: () => new Set(['app']),
    behind,
    startNs,
    onRows: (rows) => shown.push(...rows.map((row) => row.line)),
    onState: (state) => states.push(state),
    onDropped: (count) => (dropped += count),
    later: (run, ms) => {
      retry = run;
      waits.push(ms);
      return 0;
    },
  });
  const socket = () => sockets[sockets.length - 1]!;
  return {
    ...{ tail, starts, shown, states, waits },
    dropped: () => dropped,
    open: () => socket().onopen?.(),
    cut: () => socket().onclose?.({ reason: '' }),
    retry: () => retry(),
    send: (...entries: [string, string][]) =>
      socket().onmessage?.({
        data: JSON.stringify({
          streams: [{ stream: { app: 'x', detected_level: 'error' }, values: entries }],
        }),
      }),
    raw: (body: unknown) => socket().onmessage?.({ data: JSON.stringify(body) }),
  };
}

const AT_1 = '1795236429000000001';
const AT_2 = '1795236429000000002';
const AT_3 = '1795236429000000003';

test('a tail that was cut goes on where it stopped and shows nothing twice', () => {
  const server = makeServer();
  server.open();
  server.send([AT_1, 'a'], [AT_2, 'b']);
  server.cut();
  server.retry();
  expect(server.starts).toEqual([AT_1, AT_2]);
  server.open();
  server.send([AT_2, 'b'], [AT_3, 'c']);
  expect(server.shown).toEqual(['a', 'b', 'c']);
  expect(server.states).toEqual(['connecting', 'open', 'reconnecting', 'reconnecting', 'open']);
});

test('two equal lines stay two lines', () => {
  const server = makeServer();
  server.open();
  server.send([AT_2, 'same'], [AT_2, 'same']);
  server.send([AT_2, 'same']);
  expect(server.shown).toEqual(['same', 'same', 'same']);
  server.cut();
  server.retry();
  server.send([AT_2, 'same'], [AT_2, 'same'], [AT_2, 'same'], [AT_2, 'same']);
  expect(server.shown.length).toBe(4);
});

test('however many lines came before, those of the last instant are known again', () => {
  const server = makeServer();
  for (let i = 0; i < 1_500; i++) server.send([`17952364290${String(i + 2).padStart(8, '0')}`, `line ${i}`]);
  server.cut();
  server.retry();
  server.send(['1795236429000001501', 'line 1499'], ['1795236429000001502', 'new']);
  expect(server.shown.length).toBe(1_501);
  expect(server.shown.at(-1)).toBe('new');
});

test('lines that the query brought are not shown again by the tail', () => {
  const behind = [makeRow(AT_1, 'a', { app: 'x' }, {})];
  const server = makeServer({ behind });
  server.send([AT_1, 'a'], [AT_1, 'late']);
  expect(server.shown).toEqual(['late']);
});

test('each failure waits longer, to a bound; success starts anew', () => {
  const server = makeServer();
  for (let i = 0; i < 8; i++) {
    server.cut();
    server.retry();
  }
  expect(server.waits.slice(0, 3)).toEqual([500, 1_000, 2_000]);
  expect(Math.max(...server.waits)).toBe(10_000);
  server.open();
  server.cut();
  expect(server.waits.at(-1)).toBe(500);
});

test('lines that the server left out are counted', () => {
  const server = makeServer();
  server.raw({ streams: null, dropped_entries: [{ labels: {}, timestamp: AT_1 }, {}] });
  expect(server.dropped()).toBe(2);
});

test('a closed tail stays closed', () => {
  const server = makeServer();
  server.tail.close();
  server.cut();
  server.send([AT_2, 'x']);
  expect(server.shown).toEqual([]);
  expect(server.starts.length).toBe(1);
});
