// A table that becomes a list of cards on a phone. columns: [{title, cell: (row) => …, class?, isHidden?: title for readers only}].
export function Table({ caption, columns, rows, keyOf = (row) => row.id }) {
  return (
    <div class="table">
      <table>
        <caption class="unseen">{caption}</caption>
        <thead>
          <tr>{columns.map(({ title, isHidden, class: name }) => <th key={title} scope="col" class={name}>{isHidden ? <span class="unseen">{title}</span> : title}</th>)}</tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={keyOf(row)}>
              {columns.map(({ title, cell, isHidden, class: name }) => <td key={title} class={name} data-title={isHidden ? undefined : title}>{cell(row)}</td>)}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
