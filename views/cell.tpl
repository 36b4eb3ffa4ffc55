<td role="cell" class="{{"" if cell.text or cell.time else "empty"}}" data-label="{{cell.column.title}}">\\
% if cell.time:
{{!show_time(cell.time)}}\\
% else:
<span dir="auto" class="{{cell.look}}" title="{{cell.hint}}">{{cell.text}}</span>\\
% end
</td>
