import { baseError } from '@offshoot/types';
import type { z } from 'zod';

export type InputPlace = 'body' | 'path' | 'query';

/** The value in the schema's shape. Throws `invalid_argument` with every fault named. */
export function checkInput<T>(schema: z.ZodType<T>, value: unknown, where: InputPlace): T {
  const parsed = schema.safeParse(value === undefined ? {} : value);
  if (parsed.success) return parsed.data;
  throw faultsOf(parsed.error, where);
}

/** The same, but fields of an object that the schema does not know are left out, and named. */
export function checkKnownFields<T>(schema: z.ZodType<T>, value: unknown): { data: T; ignored: string[] } {
  const parsed = schema.safeParse(value === undefined ? {} : value);
  if (parsed.success) return { data: parsed.data, ignored: [] };
  const ignored = parsed.error.issues.flatMap((issue) =>
    issue.code === 'unrecognized_keys' && issue.path.length === 0 ? issue.keys : [],
  );
  if (ignored.length === 0) throw faultsOf(parsed.error, 'body');
  const known = Object.entries(value as object).filter(([field]) => !ignored.includes(field));
  return { data: checkInput(schema, Object.fromEntries(known), 'body'), ignored };
}

function faultsOf(error: z.ZodError, where: InputPlace) {
  const faults = error.issues.map((issue) => `${issue.path.join('.') || where}: ${wordsOf(issue)}`);
  return baseError('invalid_argument', faults.join('; '));
}

/** Of a name in a record: what is wrong with it. */
function wordsOf(issue: z.core.$ZodIssue): string {
  return (issue.code === 'invalid_key' ? issue.issues[0]?.message : undefined) ?? issue.message;
}
