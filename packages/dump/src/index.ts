export { dumpError } from './dump-errors.js';
export { type DumpFormat, type RecognizedDump, recognizeDump } from './dump-format.js';
export { type LoadOptions, loadDump } from './load-dump.js';
export { type LoadProgress, type LoadReport, type LoadWarning, WARNING_KINDS } from './load-report.js';
export { findPgRestore, type PgRestore } from './pg-restore.js';
