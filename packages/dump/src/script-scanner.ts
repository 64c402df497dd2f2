import { dumpError } from './dump-errors.js';

/** A statement of a script, or a command to psql; `line` is where it begins, from 1 on. */
export type ScriptItem =
  | {
      readonly kind: 'statement';
      /** One character for each byte. */
      readonly text: string;
      readonly line: number;
      /** Its first words outside of parentheses, in lower case. */
      readonly words: readonly string[];
      /** It is COPY ... FROM stdin: its data follows. */
      readonly takesData: boolean;
    }
  | { readonly kind: 'command'; readonly text: string; readonly line: number };

/** What the next character is part of. */
type Mode =
  | 'code'
  | 'word'
  | 'string'
  | 'string end'
  | 'identifier'
  | 'line comment'
  | 'block comment'
  | 'dollar tag'
  | 'dollar string'
  | 'command';

const WORDS_KEPT = 8;
const COMMENT_KEPT = 80;
const ROUTINES: ReadonlySet<string> = new Set(['function', 'procedure']);

/**
 * Cuts a script of SQL into statements, as psql does, from pieces of text that may end anywhere. Characters stand for bytes:
 * of all encodings that a server can have, bytes below 128 are what they are in ASCII.
 */
export class ScriptScanner {
  /** A backslash in a string escapes what follows: standard_conforming_strings is off. */
  backslashEscapes = false;
  /** pg_dump says where its dump begins and where it is complete. */
  dumpsBegun = 0;
  dumpsComplete = 0;
  #mode: Mode = 'code';
  #line = 1;
  #parts: string[] = [];
  #length = 0;
  /** Where in what was gathered the statement begins; undefined: nothing but blanks and comments so far. */
  #content: { readonly at: number; readonly line: number } | undefined;
  #words: string[] = [];
  #lastWord = '';
  #takesData = false;
  #parentheses = 0;
  /** BEGIN ATOMIC and CASE in a routine's body. */
  #begins = 0;
  #word = '';
  #previous = '';
  #comment = '';
  #comments = 0;
  #escapes = false;
  #escaped = false;
  #closing = '';
  #closed = 0;

  constructor(private readonly statementBytesMax: number) {}

  get line(): number {
    return this.#line;
  }

  /** Lines that somebody else has read. */
  skipLines(count: number): void {
    this.#line += count;
  }

  /** Reads from `start` on; answers the first item that ends there and where; undefined: it wants more. */
  scan(text: string, start: number): { readonly item: ScriptItem; readonly end: number } | undefined {
    let from = start;
    for (let at = start; at < text.length; at += 1) {
      const char = text[at] as string;
      if (this.#step(char, this.#length + at - from)) {
        this.#gather(text.slice(from, at));
        const item = this.#take();
        if (char === '\n') this.#line += 1;
        return { item, end: at + 1 };
      }
      if (char === '\n') this.#line += 1;
      if (this.#content === undefined && this.#mode === 'code' && this.#previous === '') {
        from = at + 1;
        this.#parts = [];
        this.#length = 0;
      }
    }
    this.#gather(text.slice(from));
    return undefined;
  }

  /** The script has ended: what was begun last. Throws `dump_damaged` when that is not whole. */
  finish(): ScriptItem | undefined {
    if (this.#mode === 'line comment') this.#endComment();
    if (this.#mode === 'word') this.#endWord();
    const isWhole =
      ['code', 'word', 'line comment', 'string end', 'command'].includes(this.#mode) &&
      this.#parentheses === 0 &&
      this.#begins === 0;
    if (!isWhole) {
      const { line } = this.#content ?? { line: this.#line };
      throw dumpError('dump_damaged', `the dump breaks off within the statement that begins in line ${line}`);
    }
    return this.#content === undefined ? undefined : this.#take();
  }

  #gather(text: string): void {
    this.#parts.push(text);
    this.#length += text.length;
    if (this.#length > this.statementBytesMax) {
      throw dumpError(
        'dump_too_large',
        `the statement that begins in line ${this.#content?.line ?? this.#line} has more than ${this.statementBytesMax} bytes ` +
          '(statementBytesMax)',
      );
    }
  }

  #take(): ScriptItem {
    const { at, line } = this.#content ?? { at: 0, line: this.#line };
    const text = this.#parts.join('').slice(at).trimEnd();
    const item: ScriptItem =
      this.#mode === 'command'
        ? { kind: 'command', text, line }
        : { kind: 'statement', text, line, words: this.#words, takesData: this.#takesData };
    this.#mode = 'code';
    this.#parts = [];
    this.#length = 0;
    this.#content = undefined;
    this.#words = [];
    this.#lastWord = '';
    this.#takesData = false;
    this.#previous = '';
    return item;
  }

  /** True: an item ends before this character. `offset`: where it stands in what is gathered. */
  #step(char: string, offset: number): boolean {
    switch (this.#mode) {
      case 'code':
        return this.#code(char, offset);
      case 'word':
        if (isWordCharacter(char)) {
          this.#word += char;
          return false;
        }
        return this.#afterWord(char, offset);
      case 'string':
        this.#string(char);
        return false;
      case 'string end':
        // Two quotes are one in it.
        this.#mode = char === "'" ? 'string' : 'code';
        return char === "'" ? false : this.#code(char, offset);
      case 'identifier':
        if (char === '"') this.#mode = 'code';
        return false;
      case 'line comment':
        if (char === '\n') this.#endComment();
        else if (this.#comment.length < COMMENT_KEPT) this.#comment += char;
        return false;
      case 'block comment':
        this.#blockComment(char);
        return false;
      case 'dollar tag':
        return this.#dollarTag(char, offset);
      case 'dollar string':
        this.#dollarString(char);
        return false;
      case 'command':
        return char === '\n';
    }
  }

  #code(char: string, offset: number): boolean {
    const previous = this.#previous;
    this.#previous = char === '-' || char === '/' ? char : '';
    if (char === '-' && previous === '-') return this.#begin('line comment');
    if (char === '*' && previous === '/') {
      this.#comments = 1;
      return this.#begin('block comment');
    }
    if (isBlank(char)) return false;
    if (char === '-' || char === '/') return false;
    if (char === '\\') return this.#backslash(offset);
    if (char === ';' && this.#parentheses === 0 && this.#begins === 0) return this.#content !== undefined;
    this.#content ??= { at: offset, line: this.#line };
    if (isWordCharacter(char)) {
      // A parameter such as $1 comes by its dollar.
      if (char === '$') {
        this.#closing = '$';
        return this.#begin('dollar tag');
      }
      this.#word = char;
      return this.#begin('word');
    }
    this.#lastWord = '';
    if (char === "'") return this.#beginString(this.backslashEscapes);
    if (char === '"') return this.#begin('identifier');
    if (char === '(') this.#parentheses += 1;
    if (char === ')') this.#parentheses = Math.max(0, this.#parentheses - 1);
    return false;
  }

  #begin(mode: Mode): false {
    this.#mode = mode;
    this.#previous = '';
    return false;
  }

  #beginString(escapes: boolean): false {
    this.#escapes = escapes;
    this.#escaped = false;
    return this.#begin('string');
  }

  #backslash(offset: number): false {
    if (this.#content !== undefined) {
      throw dumpError(
        'dump_refused',
        `line ${this.#line}: a command to psql in the middle of the statement that begins in line ${this.#content.line}`,
      );
    }
    this.#content = { at: offset, line: this.#line };
    return this.#begin('command');
  }

  #afterWord(char: string, offset: number): boolean {
    const word = this.#word;
    this.#endWord();
    this.#mode = 'code';
    if (char === "'" && /^e$/i.test(word)) return this.#beginString(true);
    return this.#code(char, offset);
  }

  #endWord(): void {
    const word = this.#word.toLowerCase();
    this.#word = '';
    if (this.#parentheses > 0) return;
    if (this.#words.length < WORDS_KEPT) this.#words.push(word);
    if (this.#words[0] === 'copy' && this.#lastWord === 'from' && word === 'stdin') this.#takesData = true;
    if (this.#makesRoutine()) {
      if (word === 'begin' || (word === 'case' && this.#begins > 0)) this.#begins += 1;
      if (word === 'end') this.#begins = Math.max(0, this.#begins - 1);
    }
    this.#lastWord = word;
  }

  #makesRoutine(): boolean {
    const [first, second = '', third, fourth = ''] = this.#words;
    if (first !== 'create') return false;
    return ROUTINES.has(second) || (second === 'or' && third === 'replace' && ROUTINES.has(fourth));
  }

  #string(char: string): void {
    if (this.#escaped) this.#escaped = false;
    else if (this.#escapes && char === '\\') this.#escaped = true;
    else if (char === "'") this.#mode = 'string end';
  }

  #endComment(): void {
    this.#mode = 'code';
    const words = this.#comment.trim();
    this.#comment = '';
    if (/^PostgreSQL database (cluster )?dump$/.test(words)) this.dumpsBegun += 1;
    if (/^PostgreSQL database (cluster )?dump complete$/.test(words)) this.dumpsComplete += 1;
  }

  /** They may be in each other. */
  #blockComment(char: string): void {
    const pair = `${this.#previous}${char}`;
    this.#previous = pair === '/*' || pair === '*/' ? '' : char;
    if (pair === '/*') this.#comments += 1;
    if (pair === '*/') this.#comments -= 1;
    if (this.#comments === 0) this.#begin('code');
  }

  #dollarTag(char: string, offset: number): boolean {
    if (char === '$') {
      this.#closing += '$';
      this.#closed = 0;
      return this.#begin('dollar string');
    }
    if (isWordCharacter(char) && !(this.#closing === '$' && isDigit(char))) {
      this.#closing += char;
      return false;
    }
    this.#mode = 'code';
    return this.#code(char, offset);
  }

  #dollarString(char: string): void {
    // A dollar stands at the ends of what closes it only.
    if (char === this.#closing[this.#closed]) this.#closed += 1;
    else this.#closed = char === '$' ? 1 : 0;
    if (this.#closed === this.#closing.length) this.#begin('code');
  }
}

function isBlank(char: string): boolean {
  return char === ' ' || char === '\n' || char === '\t' || char === '\r' || char === '\f' || char === '\v';
}

function isDigit(char: string): boolean {
  return char >= '0' && char <= '9';
}

/** Letters, digits, `_`, `$`, and all bytes that are not ASCII. */
function isWordCharacter(char: string): boolean {
  return (
    (char >= 'a' && char <= 'z') ||
    (char >= 'A' && char <= 'Z') ||
    isDigit(char) ||
    char === '_' ||
    char === '$' ||
    char >= '\x80'
  );
}
