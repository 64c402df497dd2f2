import { describe, expect, test } from 'vitest';
import { parsePostgresVersion } from './postgres-version.js';

describe('the version of Postgres', () => {
  test.each([
    ['postgres (PostgreSQL) 15.18\n', { text: '15.18', major: 15 }],
    ['postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n', { text: '15.18', major: 15 }],
    ['postgres (PostgreSQL) 19devel\n', { text: '19devel', major: 19 }],
    ['postgres (PostgreSQL) 18beta1\n', { text: '18beta1', major: 18 }],
  ])('%j', (output, version) => {
    expect(parsePostgresVersion(output)).toEqual(version);
  });

  test.each(['', 'postgres (EnterpriseDB) 15.1', 'psql (PostgreSQL) 15.18', 'postgres (PostgreSQL) x'])(
    '%j is none',
    (output) => {
      expect(() => parsePostgresVersion(output)).toThrow('printed no version');
    },
  );
});
