/** LogQL for CodeMirror: the grammar is Grafana's (@grafana/lezer-logql); colours and completion are ours. */
import {
  pickedCompletion,
  type Completion,
  type CompletionContext,
  type CompletionResult,
} from '@codemirror/autocomplete';
import type { EditorView } from '@codemirror/view';
import {
  HighlightStyle,
  LanguageSupport,
  LRLanguage,
  syntaxHighlighting,
  syntaxTree,
} from '@codemirror/language';
import { linter, type Diagnostic } from '@codemirror/lint';
import { parser } from '@grafana/lezer-logql';
import type { SyntaxNode } from '@lezer/common';
import { styleTags, tags } from '@lezer/highlight';
import { t } from '../words/words.svelte';

/** What completion knows about the data. */
export interface Catalog {
  labels(): readonly string[];
  values(label: string): Promise<string[]>;
  fields(): string[];
}

const logqlLanguage = LRLanguage.define({
  name: 'logql',
  parser: parser.configure({
    props: [
      styleTags({
        LineComment: tags.lineComment,
        'Identifier LabelName': tags.propertyName,
        String: tags.string,
        'Number Duration Bytes': tags.number,
        'Eq Neq Re Nre PipeExact PipeMatch PipePattern Npa Gtr Gte Lss Lte Eql': tags.compareOperator,
        'Add Sub Mul Div Mod Pow Pipe': tags.operator,
        'Json Logfmt Unpack Pattern Regexp Unwrap LabelFormat LineFormat Decolorize Drop Keep': tags.keyword,
        'By Without On Ignoring GroupLeft GroupRight Bool Offset And Or Unless': tags.modifier,
        'CountOverTime Rate RateCounter BytesOverTime BytesRate AvgOverTime SumOverTime MinOverTime MaxOverTime StddevOverTime StdvarOverTime QuantileOverTime FirstOverTime LastOverTime AbsentOverTime':
          tags.function(tags.name),
        'Sum Avg Count Max Min Stddev Stdvar Bottomk Topk Sort Sort_Desc Approx_Topk LabelReplace Vector':
          tags.function(tags.name),
        '⚠': tags.invalid,
      }),
    ],
  }),
  languageData: {
    closeBrackets: { brackets: ['(', '[', '{', "'", '"', '`'] },
    commentTokens: { line: '#' },
  },
});

const colours = syntaxHighlighting(
  HighlightStyle.define([
    { tag: tags.propertyName, color: 'var(--key)' },
    { tag: tags.string, color: 'var(--str)' },
    { tag: tags.number, color: 'var(--num)' },
    { tag: [tags.compareOperator, tags.operator], color: 'var(--muted)' },
    { tag: tags.keyword, color: 'var(--accent)', fontWeight: '600' },
    { tag: tags.modifier, color: 'var(--accent)' },
    { tag: tags.function(tags.name), color: 'var(--critical)' },
    { tag: tags.lineComment, color: 'var(--faint)', fontStyle: 'italic' },
  ]),
);

const RANGE_FUNCTIONS = [
  ...['count_over_time', 'rate', 'bytes_over_time', 'bytes_rate', 'sum_over_time', 'avg_over_time'],
  ...['max_over_time', 'min_over_time', 'quantile_over_time', 'absent_over_time'],
];
const AGGREGATIONS = ['sum', 'avg', 'min', 'max', 'count', 'topk', 'bottomk'];
const PARSERS = ['json', 'logfmt', 'pattern', 'regexp', 'unpack'];
const STAGES = [...PARSERS, 'line_format', 'label_format', 'decolorize', 'drop', 'keep', 'unwrap'];

function filters(): Completion[] {
  return [
    { label: '|= "', displayLabel: '|=', detail: t('lineContains'), type: 'operator', boost: 9 },
    { label: '!= "', displayLabel: '!=', detail: t('lineContainsNot'), type: 'operator', boost: 8 },
    { label: '|~ "', displayLabel: '|~', detail: t('lineMatches'), type: 'operator', boost: 7 },
    { label: '!~ "', displayLabel: '!~', detail: t('lineMatchesNot'), type: 'operator', boost: 6 },
    ...PARSERS.slice(0, 2).map((stage) => ({ label: `| ${stage}`, type: 'keyword' })),
  ];
}

const WORD = /^\w*$/;
const named =
  (type: string, boost = 0) =>
  (label: string): Completion => ({ label, type, boost });

function completion(catalog: Catalog) {
  return async (context: CompletionContext): Promise<CompletionResult | null> => {
    const node = syntaxTree(context.state).resolveInner(context.pos, -1);
    const from = context.matchBefore(/[\w.]*/)?.from ?? context.pos;
    const before = context.state.sliceDoc(Math.max(0, context.pos - 400), context.pos);

    const value = /([A-Za-z_]\w*)\s*(?:=~|!~|!=|=)\s*(["`])([^"`]*)$/.exec(before);
    if (value && isInside(node, 'Selector', 'Matcher', 'Matchers')) {
      const options = (await catalog.values(value[1]!)).map((label) => ({
        label,
        type: 'text',
        apply: takeValue,
      }));
      return { from: context.pos - value[3]!.length, options, validFor: /^[^"`]*$/ };
    }
    if (node.name === 'String') return null;
    if (/\{[^}]*$/.test(before)) {
      if (!/[{,]\s*\w*$/.test(before)) return null;
      const options = catalog.labels().map((label) => ({ label, type: 'property', apply: takeLabel }));
      return { from, options, validFor: WORD };
    }
    if (isInside(node, 'Grouping', 'Labels')) {
      const names = [...catalog.labels(), ...catalog.fields()];
      return { from, options: names.map(named('property')), validFor: WORD };
    }
    if (/[}"`]\s*[|!]$/.test(before)) return { from: context.pos - 1, options: filters() };
    if (/\|\s*\w*$/.test(before)) {
      // Stages first: sorted by name alone, they drown among the fields.
      const options = [...STAGES.map(named('keyword', 50)), ...catalog.fields().map(named('property'))];
      return { from, options, validFor: WORD };
    }
    if (context.explicit && /[}"`]\s*$/.test(before)) return { from: context.pos, options: filters() };
    if (!context.explicit && from === context.pos) return null;
    const functions = [...AGGREGATIONS, ...RANGE_FUNCTIONS];
    return {
      from,
      options: [
        { label: '{', detail: t('chooseStreams'), type: 'keyword' },
        ...functions.map((label) => ({ label, type: 'function', apply: `${label}(` })),
      ],
      validFor: WORD,
    };
  };
}

type Take = (view: EditorView, option: Completion, from: number, to: number) => void;

/** A label comes with its operator and quotes, and the caret between them. */
const takeLabel: Take = (view, option, from, to) => {
  const hasOperator = /^\s*[=!]/.test(view.state.sliceDoc(to, to + 8));
  take(view, option, {
    from,
    to,
    insert: hasOperator ? option.label : `${option.label}=""`,
    back: hasOperator ? 0 : 1,
  });
};

/** A value comes with its closing quote, and the caret behind it. */
const takeValue: Take = (view, option, from, to) => {
  const isClosed = /^["`]/.test(view.state.sliceDoc(to, to + 1));
  const text = option.label.replace(/[\\"]/g, '\\$&');
  take(view, option, { from, to, insert: isClosed ? text : `${text}"`, back: isClosed ? -1 : 0 });
};

function take(
  view: EditorView,
  option: Completion,
  { from, to, insert, back }: { from: number; to: number; insert: string; back: number },
): void {
  view.dispatch({
    changes: { from, to, insert },
    selection: { anchor: from + insert.length - back },
    annotations: pickedCompletion.of(option),
    userEvent: 'input.complete',
  });
}

function isInside(node: SyntaxNode | null, ...names: string[]): boolean {
  for (; node; node = node.parent) if (names.includes(node.name)) return true;
  return false;
}

/** The first place where the grammar cannot go on. Words to search for are no LogQL, and no mistake. */
const lint = linter(
  (view) => {
    const text = view.state.doc.toString();
    if (!text.includes('{')) return [];
    const found: Diagnostic[] = [];
    syntaxTree(view.state).iterate({
      enter: ({ type, from, to }) => {
        if (!type.isError || found.length) return;
        const end = Math.max(to, Math.min(from + 1, text.length));
        found.push({ from: Math.min(from, end), to: end, severity: 'error', message: t('doesNotParse') });
      },
    });
    return found;
  },
  { delay: 400 },
);

export function logql(catalog: Catalog) {
  return [
    new LanguageSupport(logqlLanguage, [
      colours,
      logqlLanguage.data.of({ autocomplete: completion(catalog) }),
    ]),
    lint,
  ];
}
