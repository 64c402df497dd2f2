import { describe, expect, it, test } from 'vitest';
import { checkSourceUrl, withoutPassword } from './source-url.js';

describe('a connection string', () => {
  it.each([
    ['postgres://alice:secret@db.example:5432/shop', 'postgres://alice@db.example:5432/shop'],
    [
      'postgresql://alice:se@cr:et@db/shop?sslmode=verify-full',
      'postgresql://alice@db/shop?sslmode=verify-full',
    ],
    ['postgres://alice@db/shop', 'postgres://alice@db/shop'],
    ['postgres://db', 'postgres://db'],
    ['postgres://:secret@db/shop', 'postgres://@db/shop'],
    ['postgres://alice:secret@/shop?host=/run/postgresql', 'postgres://alice@/shop?host=/run/postgresql'],
    ['postgres://alice@db/shop?password=secret&ssl=true', 'postgres://alice@db/shop?ssl=true'],
    ['postgres://alice@db/shop?pass%77ord=secret', 'postgres://alice@db/shop'],
    ['postgres://alice@db/shop?a=1&%zz=2&sslpassword=secret', 'postgres://alice@db/shop?a=1&%zz=2'],
    ['postgres://alice:secret@[::1]:5432/shop', 'postgres://alice@[::1]:5432/shop'],
  ])('%s is shown as %s', (url, shown) => {
    expect(withoutPassword(url)).toBe(shown);
  });

  it.each(['', 'host=db user=alice password=secret', 'mysql://db/shop', 'db.example:5432'])(
    'is not %j, and the refusal does not repeat it',
    (url) => {
      const refused = () => checkSourceUrl(url);
      expect(refused).toThrow(expect.objectContaining({ code: 'source_url_invalid' }));
      expect(refused).not.toThrow(/alice/);
    },
  );
});

test.each(['bogus', '', 'REQUIRE', 'require '])('sslmode %j is refused, and says what there is', (mode) => {
  expect(() => checkSourceUrl(`postgres://u@h/d?application_name=x&sslmode=${mode}`)).toThrow(/verify-full/);
});

test.each(['disable', 'require', 'no-verify'])('sslmode %j is taken', (mode) => {
  expect(() => checkSourceUrl(`postgres://u@h/d?sslmode=${mode}`)).not.toThrow();
});
