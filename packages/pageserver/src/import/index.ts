export { importError } from './import-errors.js';
export type { ImportProgress } from './import-progress.js';
export { type ImportSettings, importDefaults } from './import-settings.js';
export { type ImportedTenant, type ImportPlace, type ImportRequest, importTenant } from './import-tenant.js';
export { checkSourceUrl, withoutPassword } from './source-url.js';
