import { expect, test } from 'vitest';
import {
  findSelector,
  isLogQuery,
  printSelector,
  searchedWords,
  toLogql,
  withField,
  withLevels,
  withLineFilter,
  withMatcher,
  type Matcher,
} from '../src/logs/query';
import { makeRandom } from './random';

test('what is printed is read again', () => {
  const random = makeRandom(11);
  const letters = 'ab"\\`{}=~,# \n한😀';
  const ops = ['=', '!=', '=~', '!~'] as const;
  for (let i = 0; i < 500; i++) {
    const matchers: Matcher[] = Array.from({ length: 1 + random(4) }, (_, k) => ({
      name: `n${k}`,
      op: ops[random(4)]!,
      value: Array.from({ length: random(8) }, () => [...letters][random(14)]).join(''),
    }));
    const text = `sum(rate(${printSelector(matchers)} |= "}" [5m]))`;
    expect(findSelector(text)?.matchers).toEqual(matchers);
  }
});

test('a broken selector is left alone', () => {
  expect(findSelector('{a="b')).toBeNull();
  expect(findSelector('{a=b}')).toBeNull();
  expect(findSelector('words')).toBeNull();
});

test('a click on a value narrows the selector and keeps the rest', () => {
  const click = { name: 'service', op: '=', value: 'api' } as const;
  expect(withMatcher('{service_name=~".+"} |= "x"', click)).toBe('{service="api"} |= "x"');
  expect(withMatcher('{service="web", env="prod"}', click)).toBe('{env="prod", service="api"}');
  expect(withMatcher('sum(rate({env="prod"}[5m]))', click)).toBe(
    'sum(rate({env="prod", service="api"}[5m]))',
  );
});

test('leaving a value out never makes a selector that Loki refuses', () => {
  const without = { name: 'service', op: '!=', value: 'api' } as const;
  expect(withMatcher('{service="api"}', without)).toBe('{service=~".+", service!="api"}');
  expect(withMatcher('{env="prod"}', without)).toBe('{env="prod", service!="api"}');
  expect(withMatcher('{env="prod", service!="api"}', without)).toBe('{env="prod", service!="api"}');
});

test('stages go to the end of a log query and behind the selector of a metric query', () => {
  expect(withLineFilter('{a="b"} | json', '|=', 'x"y')).toBe('{a="b"} | json |= "x\\"y"');
  expect(withLineFilter('rate({a="b"}[5m])', '!=', 'x')).toBe('rate({a="b"} != "x"[5m])');
  expect(withField('{a="b"}', '=', 'trace_id', '7')).toBe('{a="b"} | trace_id="7"');
  expect(withLineFilter('{a="b"} |= "x"', '|=', 'x')).toBe('{a="b"} |= "x"');
  expect(withLineFilter('{a="b"} # why', '|=', 'x')).toBe('{a="b"} # why\n|= "x"');
});

test('levels are picked by a stage; metric queries stay as they are', () => {
  expect(withLevels('{a="b"}', ['error'])).toBe('{a="b"} | detected_level="error"');
  expect(withLevels('{a="b"}', ['critical', 'error'])).toBe(
    '{a="b"} | detected_level=~"critical|fatal|error"',
  );
  expect(withLevels('{a="b"}', [])).toBe('{a="b"}');
  expect(withLevels('rate({a="b"}[5m])', ['error'])).toBe('rate({a="b"}[5m])');
});

test('words without a selector are searched for everywhere', () => {
  const everything = '{job=~".+"}';
  expect(toLogql('  ', everything)).toBe(everything);
  expect(toLogql('user "123"', everything)).toBe('{job=~".+"} |= "user \\"123\\""');
  expect(toLogql('{a="b"}', everything)).toBe('{a="b"}');
  expect(toLogql('vector(1)', everything)).toBe('vector(1)');
});

test('a comment or a string does not look like a selector', () => {
  expect(isLogQuery('# {a}\n{a="b"}')).toBe(true);
  expect(isLogQuery('rate({a="b"}[5m])')).toBe(false);
  expect(searchedWords('{a="b"} |= "x y" != "z" |= `w`')).toEqual(['x y', 'w']);
});
