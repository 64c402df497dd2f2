/** The setting that names a branch. Postgres compares names of settings without regard to case. */
export const BRANCH_SETTING = 'offshoot.branch';

/** The `options` of a start-up packet without our setting. */
export interface StartupOptions {
  /** What the setting was given, in order; `undefined` where it was given no value. */
  readonly branches: readonly (string | undefined)[];
  /** The text as it was, but for the setting; empty when nothing else was there. */
  readonly rest: string;
}

/** A word of the text, without its backslashes. */
interface Word {
  readonly text: string;
  /** Where each character of `text` is written, and behind the last one where the word ends. */
  readonly at: readonly number[];
}

/** Options of `postgres` that take an argument, attached or as the next word; the others are flags. */
const WITH_ARGUMENT = new Set('BCcDdfhkNprStvW-');
const SPACE = /[ \t\n\v\f\r]/;

/**
 * Takes `-c offshoot.branch=NAME` and `--offshoot.branch=NAME` out of options, which Postgres reads as words that
 * backslashes hold together and then as a command line.
 */
export function takeBranchSetting(options: string): StartupOptions {
  const words = splitWords(options);
  const branches: (string | undefined)[] = [];
  let rest = '';
  let kept = 0;
  for (let at = 0; at < words.length; at++) {
    const found = settingAt(words, at);
    if (found === 'end') {
      break;
    }
    const setting = /^([^=]*)(?:=(.*))?$/s.exec(found?.argument ?? '');
    if (found !== undefined && setting?.[1]?.toLowerCase() === BRANCH_SETTING) {
      branches.push(setting[2]);
      rest += options.slice(kept, found.from);
      kept = found.to;
    }
    at += (found?.words ?? 1) - 1;
  }
  rest += options.slice(kept);
  return { branches, rest: branches.length > 0 && rest.trim() === '' ? '' : rest };
}

/** An option with its argument: which part of the text it is, and how many words. */
interface Found {
  readonly argument: string | undefined;
  readonly from: number;
  readonly to: number;
  readonly words: number;
}

/** The first option with an argument in the word at `at`, and the flags before it stay. `end`: no options follow. */
function settingAt(words: readonly Word[], at: number): Found | 'end' | undefined {
  const { text, at: places } = words[at] as Word;
  if (text === '--') {
    return 'end';
  }
  if (!text.startsWith('-')) {
    return undefined;
  }
  const letter = [...text].findIndex((character, index) => index > 0 && WITH_ARGUMENT.has(character));
  if (letter < 0) {
    return undefined;
  }
  const next = letter === text.length - 1 ? words[at + 1] : undefined;
  const value = next?.text ?? text.slice(letter + 1);
  return {
    argument: 'c-'.includes(text[letter] as string) ? value.replace(/^[^=]*/, withUnderscores) : undefined,
    from: places[letter === 1 ? 0 : letter] as number,
    to: (next ?? (words[at] as Word)).at.at(-1) as number,
    words: next === undefined ? 1 : 2,
  };
}

/** In names of settings on a command line Postgres takes `-` for `_`. */
function withUnderscores(name: string): string {
  return name.replaceAll('-', '_');
}

function splitWords(text: string): Word[] {
  const words: Word[] = [];
  let at = 0;
  for (;;) {
    while (at < text.length && SPACE.test(text[at] as string)) {
      at++;
    }
    if (at === text.length) {
      return words;
    }
    const places: number[] = [];
    let word = '';
    while (at < text.length && !SPACE.test(text[at] as string)) {
      places.push(at);
      if (text[at] === '\\') {
        at++;
      }
      word += text[at] ?? '';
      at++;
    }
    at = Math.min(at, text.length);
    words.push({ text: word, at: [...places.slice(0, word.length), at] });
  }
}
