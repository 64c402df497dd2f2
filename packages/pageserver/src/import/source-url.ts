import { importError } from './import-errors.js';

/**
 * Checks that `url` is a connection string of the URL form, which is what `pg` reads. Throws `source_url_invalid`,
 * whose message never holds the string: it may hold a password.
 */
export function checkSourceUrl(url: string): void {
  if (!/^postgres(ql)?:\/\//i.test(url)) {
    throw importError(
      'source_url_invalid',
      'the source must be a connection string like postgres://user:password@host:5432/database',
    );
  }
  const mode = parametersOf(url)
    .find((parameter) => nameOf(parameter) === 'sslmode')
    ?.split('=')[1];
  if (mode !== undefined && !SSL_MODES.has(mode)) {
    const known = [...SSL_MODES].join(', ');
    throw importError('source_url_invalid', `the connection string's sslmode is none of ${known}`);
  }
}

/** Those of libpq, and `no-verify`, which is `pg`'s own. */
const SSL_MODES = new Set(['disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full', 'no-verify']);

function parametersOf(url: string): string[] {
  const [, ...query] = url.split('?');
  return query.join('?').split('&');
}

const SECRET_PARAMETERS = new Set(['password', 'sslpassword']);

/** The connection string without its passwords, for the catalog and for people. */
export function withoutPassword(url: string): string {
  const [, scheme = '', authority = '', rest = ''] = /^([a-z]+:\/\/)([^/?#]*)(.*)$/is.exec(url) ?? [];
  const at = authority.lastIndexOf('@');
  const user = authority.slice(0, Math.max(at, 0)).split(':', 1)[0];
  const host = authority.slice(at + 1);
  return `${scheme}${at < 0 ? '' : `${user}@`}${host}${withoutSecretParameters(rest)}`;
}

function withoutSecretParameters(pathAndQuery: string): string {
  const [path = '', ...query] = pathAndQuery.split('?');
  const kept = query
    .join('?')
    .split('&')
    .filter((parameter) => parameter !== '' && !SECRET_PARAMETERS.has(nameOf(parameter)));
  return kept.length === 0 ? path : `${path}?${kept.join('&')}`;
}

function nameOf(parameter: string): string {
  const name = parameter.split('=', 1)[0] ?? '';
  try {
    return decodeURIComponent(name).toLowerCase();
  } catch {
    return name.toLowerCase();
  }
}
