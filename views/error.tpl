% rebase("layout")
<p>{{advice}}</p>
<p><a href="{{root}}/console">Back to the console</a> <span class="secondary">{{status}}</span></p>
