// Small drawings, beside words that say the same.
const DRAWINGS = {
  home: 'M3 11 12 4l9 7M5.500 9.500V20h13V9.500M10 20v-6h4v6',
  agent: 'M5 8h14a1 1 0 0 1 1 1v9a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V9a1 1 0 0 1 1-1zM12 8V4M9 12.500v1.500M15 12.500v1.500',
  flow: 'M4 5h5v5H4zM15 14h5v5h-5zM9 7.500h5.500a3 3 0 0 1 3 3V14',
  widget: 'M4 5h16v11H10l-4 4v-4H4z',
  key: 'M14.500 9.500a4.500 4.500 0 1 0-4 4.470L12 15.500h2V18h2.500v2.500H20V17l-5.900-5.900c.26-.5.4-1.030.4-1.600zM8.500 9h.01',
  plug: 'M9 3v5M15 3v5M6 8h12v3a6 6 0 0 1-12 0zM12 17v4',
  users: 'M9 11a3.500 3.500 0 1 0 0-7 3.500 3.500 0 0 0 0 7zM2.500 20c.3-3.700 2.800-5.500 6.500-5.500s6.200 1.800 6.500 5.500M15.500 4.300a3.500 3.500 0 0 1 0 6.400M17.500 14.800c2.300.6 3.700 2.300 4 5.200',
  team: 'M4 20V6l8-3v17M12 9l8 3v8M2 20h20M7.500 9h1M7.500 13h1M16 15h1',
  document: 'M6 3h8l5 5v13H6zM14 3v5h5M9 13h7M9 17h5',
  chats: 'M3 4h13v9H9l-4 3.500V13H3zM10 17h5l4 3.500V17h2V9h-2',
  chart: 'M4 4v16h16M8 16v-4M12 16V8M16 16v-6',
  gauge: 'M4.500 18.500a9 9 0 1 1 15 0M12 14.500l4-5.500M12 14.500h.01',
  bell: 'M6 16.500V11a6 6 0 0 1 12 0v5.500l1.500 1.500h-15zM10 21h4',
  clock: 'M12 21a9 9 0 1 0 0-18 9 9 0 0 0 0 18zM12 7.500v5l3.500 2',
  menu: 'M4 7h16M4 12h16M4 17h16',
  close: 'M6 6l12 12M18 6 6 18',
  leave: 'M14 4H5v16h9M10 12h10M17 8.500 20.500 12 17 15.500',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  plus: 'M12 5v14M5 12h14',
  check: 'M5 12.500 10 17.500 19 7',
  search: 'M10.500 17a6.500 6.500 0 1 0 0-13 6.500 6.500 0 0 0 0 13zM15.500 15.500 20 20',
  send: 'M4 12 20 4l-5 16-3-7z',
  stop: 'M7 7h10v10H7z',
  again: 'M19 12a7 7 0 1 1-2-5l2.500 2.500M19.500 4.500v5h-5',
  back: 'M15 5 8 12l7 7',
  next: 'M9 5l7 7-7 7',
  out: 'M13 5h6v6M19 5l-9 9M9 6H5v13h13v-4',
  trash: 'M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13',
  warn: 'M12 4 22 20H2zM12 10v4.500M12 17.300v.1',
};

export function Icon({ name }) {
  return (
    <svg class="icon" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">
      <path d={DRAWINGS[name]} />
    </svg>
  );
}
