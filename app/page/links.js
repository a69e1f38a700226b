// Addresses of views, for links: #/models/scratches/2. Names of strangers cannot change their shape.
export function link(parts, query = {}) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined && value !== "");
  const asked = new URLSearchParams(given).toString();
  return `#/${parts.map(encodeURIComponent).join("/")}${asked && `?${asked}`}`;
}

export const go = (parts, query) => { location.hash = link(parts, query); };
