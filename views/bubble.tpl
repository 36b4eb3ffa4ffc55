<div class="bubble {{side}}">
<p class="words" dir="auto">{{body}}</p>
<p class="secondary">{{" · ".join(notes)}}</p>
</div>
