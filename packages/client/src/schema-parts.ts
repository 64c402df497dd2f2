/** What many schemas of the management API are made of. */
import { z } from 'zod';

export const lsn = z.string().regex(/^[0-9A-F]{1,8}\/[0-9A-F]{1,8}$/, 'an LSN looks like 0/16B5A50');
export const id = z.string().regex(/^[0-9a-f]{32}$/, 'an id is 32 hexadecimal digits');
export const time = z.iso.datetime();
export const bytes = z.number().int().nonnegative();

/** A name of a tenant or branch: lower case, starts with a letter or digit, at most 63 characters. */
export const name = z
  .string()
  .regex(
    /^[a-z0-9][a-z0-9._-]{0,62}$/,
    'a name is 1 to 63 of a-z, 0-9, ".", "_" and "-", and starts with a letter or digit',
  );
