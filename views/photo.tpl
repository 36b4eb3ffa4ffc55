<span class="photo"><span aria-hidden="true">▧</span> {{words}}\\
% if type:
 <span class="secondary">{{type}}</span>\\
% end
 · \\
% if url:
<a href="{{url}}" rel="noopener noreferrer" target="_blank">Open it at Twilio</a>\\
% else:
not at a web address\\
% end
</span>
