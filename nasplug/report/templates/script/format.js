// Elements, numbers and durations as the page writes them. Text enters the page as text nodes only.

const SVG = 'http://www.w3.org/2000/svg';

const build = (node, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === 'on') for (const [event, action] of Object.entries(value)) node.addEventListener(event, action);
    else if (name === 'css') for (const [key, item] of Object.entries(value)) node.style.setProperty(key, item);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
};
const el = (tag, attributes = {}, ...children) => build(document.createElement(tag), attributes, children);
const svg = (tag, attributes = {}, ...children) => build(document.createElementNS(SVG, tag), attributes, children);

const trim = (value, digits) => {
  const written = value.toPrecision(digits);
  if (written.includes('e')) {
    const [mantissa, exponent] = written.split('e');
    const power = Math.abs(Number(exponent));
    return `${Number(mantissa)}e${exponent < 0 ? '-' : '+'}${power < 10 ? '0' : ''}${power}`;
  }
  return String(Number(written));
};

/** A number in at most four digits: 0.9871, 7.07 M, 1.2e-05. */
const number = (value) => {
  if (value === null || value === undefined) return '–';
  if (typeof value === 'boolean') return String(value);
  if (typeof value !== 'number') return String(value);
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e5) return value.toLocaleString('en-US');
  if (size >= 1e15) return trim(value, 3);
  if (size >= 1e4) {
    for (const [factor, letter] of [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e3, 'k']]) {
      if (size >= 0.9995 * factor) return `${trim(value / factor, 3)} ${letter}`;
    }
  }
  return size !== 0 && size < 1e-4 ? Number(value.toPrecision(4)).toExponential().replace(/e([-+])(\d)$/, 'e$10$2') : trim(value, 4);
};

/** Wall time for humans. */
const duration = (seconds) => {
  if (seconds === null || !(seconds >= 0)) return 'unknown';
  if (seconds < 1e-3) return '<1 ms';
  if (seconds < 1) return `${(seconds * 1e3).toFixed(0)} ms`;
  if (seconds < 60) return seconds < 10 ? `${seconds.toFixed(1)} s` : `${seconds.toFixed(0)} s`;
  const whole = Math.round(seconds);
  for (const [unit, name, rest, small] of [[86400, 'd', 3600, 'h'], [3600, 'h', 60, 'min'], [60, 'min', 1, 's']]) {
    if (whole >= unit) return `${Math.floor(whole / unit)} ${name} ${Math.floor((whole % unit) / rest)} ${small}`;
  }
  return `${whole} s`;
};

const shorten = (text, limit) => {
  if (text.length <= limit) return text;
  const head = Math.floor((limit - 1) / 2);
  return `${text.slice(0, head)}…${text.slice(text.length - (limit - 1 - head))}`;
};
/** A label that ends behind a word, with the number of words left out. */
const brief = (label, width) => {
  if (label.length <= width) return label;
  const words = label.split(' ');
  for (let kept = words.length - 1; kept > 0; kept -= 1) {
    const short = `${words.slice(0, kept).join(' ')} … +${words.length - kept}`;
    if (short.length <= width) return short;
  }
  return `${label.slice(0, width - 1)}…`;
};
const plural = (count, noun) => `${count.toLocaleString('en-US')} ${noun}${count === 1 ? '' : 's'}`;
