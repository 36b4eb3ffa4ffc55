% if note:
<div class="note">
<p dir="auto">{{note.text}}</p>
<p class="secondary">Note by <bdi>{{note.written_by}}</bdi>, {{!show_time(note.written_at)}}</p>
</div>
% end
