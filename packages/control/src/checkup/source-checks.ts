import type { Check } from '@offshoot/client';
import type { SourceCheck } from '@offshoot/pageserver';

export function checkView({ fix, ...check }: SourceCheck): Check {
  return { ...check, ...(fix === undefined ? {} : { fix: [...fix] }) };
}
