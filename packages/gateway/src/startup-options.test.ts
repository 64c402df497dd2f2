import fc from 'fast-check';
import { expect, test } from 'vitest';
import { takeBranchSetting } from './startup-options.js';

test.each([
  ['nothing', '', [], ''],
  ['-c and the setting', '-c offshoot.branch=b', ['b'], ''],
  ['-c attached', '-coffshoot.branch=b', ['b'], ''],
  ['--', '--offshoot.branch=b', ['b'], ''],
  ['between others', '-c a=1 -c offshoot.branch=b -d 2', ['b'], '-c a=1  -d 2'],
  ['first', '-coffshoot.branch=b -c a=1', ['b'], ' -c a=1'],
  ['any white space', '\t-c\n offshoot.branch=b\r-e', ['b'], '\t\r-e'],
  ['any case', '-c OffShoot.Branch=b', ['b'], ''],
  ['twice', '-coffshoot.branch=b --offshoot.branch=c', ['b', 'c'], ''],
  ['an empty value', '--offshoot.branch=', [''], ''],
  ['no value', '-c offshoot.branch', [undefined], ''],
  ['no value at the end', '-c', [], '-c'],
  ['an equals sign in the value', '-c offshoot.branch=a=b', ['a=b'], ''],
  ['backslashes', '-c offshoot\\.bra\\nch=a\\ b\\\\c', ['a b\\c'], ''],
  ['a backslash before the option', '\\-c offshoot.branch=b', ['b'], ''],
  ['a backslash at the end', '-coffshoot.branch=b\\', ['b'], ''],
  ['another one whose value looks like ours', '-c a=-coffshoot.branch=b', [], '-c a=-coffshoot.branch=b'],
  ['an argument of another option', '-d -coffshoot.branch=b', [], '-d -coffshoot.branch=b'],
  ['the value of another option', '-c -coffshoot.branch=b', [], '-c -coffshoot.branch=b'],
  ['behind a flag', '-e -coffshoot.branch=b', ['b'], '-e '],
  ['in one word with flags', '-escoffshoot.branch=b x', ['b'], '-es x'],
  ['in one word with flags, value apart', '-es\\c offshoot.branch=b x', ['b'], '-es x'],
  ['a word that is no option', 'x -coffshoot.branch=b', ['b'], 'x '],
  ['behind the end of options', '-- -coffshoot.branch=b', [], '-- -coffshoot.branch=b'],
  ['a longer name', '-coffshoot.branch_=b', [], '-coffshoot.branch_=b'],
  ['a name with a dash', '--search-path=x --offshoot.branch=b', ['b'], '--search-path=x '],
  ['only white space', '  ', [], '  '],
])('%s', (_name, options, branches, rest) => {
  expect(takeBranchSetting(options)).toEqual({ branches, rest });
});

/** As Postgres' pg_split_opts reads it. */
function words(text: string): string[] {
  return [...text.matchAll(/(?:\\[\s\S]|[^\\ \t\n\v\f\r]|\\$)+/g)].map(([word]) =>
    word.replace(/\\([\s\S]?)/g, '$1'),
  );
}

const escaped = (word: string) => word.replace(/[\\ \t\n\v\f\r]/g, '\\$&');

test('what is left has the same words as before, whatever stands around the setting', () => {
  const word = fc.stringMatching(/^[a-z =.\\\t-]{1,8}$/).filter((text) => !/^-|branch/.test(text));
  const setting = fc.constantFrom('-c offshoot.branch=b', '--offshoot.branch=b', '-coffshoot\\.branch=\\b');
  fc.assert(
    fc.property(fc.array(word), fc.array(word), setting, (before, after, given) => {
      const text = [...before.map(escaped), given, ...after.map(escaped)].join(' ');
      const { branches, rest } = takeBranchSetting(text);
      expect(branches).toEqual(['b']);
      expect(words(rest)).toEqual([...before, ...after]);
    }),
  );
});

test('any text is read to its end, and left as it is when it does not name a branch', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary-ascii', maxLength: 60 }), (text) => {
      const { branches, rest } = takeBranchSetting(text);
      if (branches.length === 0) expect(rest).toBe(text);
    }),
  );
});
