import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BLCKSZ, type PagestreamRequest, type PagestreamResponse, type RelationFork } from '@offshoot/wire';
import type { PageStream } from './page-stream.js';

const BATCH = 128;
const FORKS = ['', '_fsm', '_vm', '_init'];
const GLOBAL_TABLESPACE = 1664;
const DEFAULT_TABLESPACE = 1663;
/** By their numbers in the protocol, which has none for pg_commit_ts: computes get that with their base backup. */
const SLRU_DIRECTORIES = ['pg_xact', 'pg_multixact/members', 'pg_multixact/offsets'];

interface Question {
  readonly request: PagestreamRequest;
  /** What the file of a full backup says. */
  readonly expected: number | Buffer;
  readonly what: string;
}

export interface Served {
  readonly pages: number;
  readonly differences: readonly string[];
}

/** Asks the page stream for everything that a full backup at its LSN holds: the same bytes. */
export async function askForAll(stream: PageStream, backup: string): Promise<Served> {
  const differences: string[] = [];
  const questions = [...relationQuestions(backup), ...slruQuestions(backup)];
  for (let at = 0; at < questions.length; at += BATCH) {
    const batch = questions.slice(at, at + BATCH);
    const answers = await stream.ask(batch.map(({ request }) => request));
    for (const [index, { expected, what }] of batch.entries()) {
      const wrong = difference(expected, answers[index]);
      if (wrong !== undefined) differences.push(`${what}: ${wrong}`);
    }
  }
  const pages = questions.filter(({ request }) => request.kind === 'GetPage').length;
  return { pages, differences };
}

function difference(expected: number | Buffer, answer: PagestreamResponse | undefined): string | undefined {
  switch (answer?.kind) {
    case 'Nblocks':
      return answer.blocks === expected ? undefined : `${answer.blocks} blocks, not ${expected}`;
    case 'GetPage':
      return Buffer.compare(answer.page, expected as Buffer) === 0 ? undefined : 'another page';
    case 'GetSlruSegment':
      return Buffer.compare(answer.pages, expected as Buffer) === 0 ? undefined : 'other pages';
    case 'Error':
      return answer.message;
    default:
      return `an answer of kind ${answer?.kind}`;
  }
}

function relationQuestions(backup: string): Question[] {
  const names = ['base', 'global', 'pg_tblspc'].flatMap((top) =>
    readdirSync(join(backup, top), { recursive: true }).map((below) => `${top}/${below}`),
  );
  const relations = names.flatMap((name) => {
    const rel = relationOf(name);
    return rel === undefined ? [] : [{ name, rel }];
  });
  const key = ({ spcnode, dbnode, relnode }: RelationFork) => `${spcnode}/${dbnode}/${relnode}`;
  const unlogged = new Set(relations.filter(({ rel }) => rel.fork === 3).map(({ rel }) => key(rel)));
  // Beside an init fork, the backup's main fork is a copy of it.
  const asked = relations.filter(({ rel }) => rel.fork === 3 || !unlogged.has(key(rel)));
  return asked.flatMap(({ name, rel }) => questionsOf(name, rel, readFileSync(join(backup, name))));
}

function questionsOf(name: string, rel: RelationFork, bytes: Buffer): Question[] {
  const blocks = bytes.length / BLCKSZ;
  const size: Question = { request: { kind: 'Nblocks', rel }, expected: blocks, what: name };
  const pages = Array.from({ length: blocks }, (_, block): Question => {
    const expected = bytes.subarray(block * BLCKSZ, (block + 1) * BLCKSZ);
    return { request: { kind: 'GetPage', rel, block }, expected, what: `${name} block ${block}` };
  });
  return [size, ...pages];
}

/** Relations here are smaller than a segment. */
function relationOf(name: string): RelationFork | undefined {
  const path =
    /^(?:global|base\/(?<db>\d+)|pg_tblspc\/(?<spc>\d+)\/PG_\w+\/(?<far>\d+))\/(?<rel>\d+)(?<fork>_\w+)?$/.exec(
      name,
    )?.groups;
  if (path === undefined) return undefined;
  const database = path.db ?? path.far;
  const inBase = database === undefined ? GLOBAL_TABLESPACE : DEFAULT_TABLESPACE;
  return {
    spcnode: path.spc === undefined ? inBase : Number(path.spc),
    dbnode: Number(database ?? 0),
    relnode: Number(path.rel),
    fork: FORKS.indexOf(path.fork ?? ''),
  };
}

function slruQuestions(backup: string): Question[] {
  return SLRU_DIRECTORIES.flatMap((directory, slruKind) =>
    readdirSync(join(backup, directory)).map((name): Question => {
      const expected = readFileSync(join(backup, directory, name));
      const segno = Number.parseInt(name, 16);
      return { request: { kind: 'GetSlruSegment', slruKind, segno }, expected, what: `${directory}/${name}` };
    }),
  );
}
