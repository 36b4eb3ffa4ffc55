<div class="bubble {{side}}">
<p class="said" dir="auto">{{body}}</p>
<p class="secondary">{{" · ".join(notes)}}</p>
</div>
